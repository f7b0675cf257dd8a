// The inner loops for AVX2: popcounts by a nibble table in a byte shuffle.
#include <immintrin.h>

#include "search_kernels.hpp"

namespace leadline {
namespace avx2 {

constexpr uint32_t kLine = 32;

static inline __m256i count_bytes(__m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                           3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}

static inline __m256i too_far16(const uint16_t* p, __m256i q, __m256i limit) {
    const __m256i x = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), q);
    return _mm256_cmpgt_epi16(_mm256_maddubs_epi16(count_bytes(x), _mm256_set1_epi8(1)), limit);
}

// Reads 64 bytes whatever `valid` is: tables end with padding.
static inline uint32_t filter_line(const uint16_t* p, uint32_t valid, uint16_t q, int limit) {
    const __m256i wanted = _mm256_set1_epi16(static_cast<short>(q)), bound = _mm256_set1_epi16(static_cast<short>(limit));
    const __m256i far = _mm256_permute4x64_epi64(
        _mm256_packs_epi16(too_far16(p, wanted, bound), too_far16(p + 16, wanted, bound)), 0xD8);
    const uint32_t mask = ~static_cast<uint32_t>(_mm256_movemask_epi8(far));
    return valid < kLine ? mask & ((1u << valid) - 1) : mask;
}

#include "search_loops.inl"

static size_t scan_planes(const uint32_t* planes, size_t stride, size_t first_row, size_t count, const uint64_t* query,
                          unsigned radius, uint32_t query_number, Hit* hits) {
    __m256i wanted[3];
    for (size_t k = 0; k < 3; k++) wanted[k] = _mm256_set1_epi32(static_cast<int>(half_word(query, k)));
    const __m256i bound = _mm256_set1_epi32(static_cast<int>(radius)), ones8 = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
    size_t found = 0;
    for (size_t i = first_row; i < first_row + count; i += 8) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t k = 0; k < 3; k++) {
            const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(planes + k * stride + i));
            sum = _mm256_add_epi8(sum, count_bytes(_mm256_xor_si256(words, wanted[k])));
        }
        const __m256i prefix = _mm256_madd_epi16(_mm256_maddubs_epi16(sum, ones8), ones16);
        unsigned mask = 255u & ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(prefix, bound))));
        while (__builtin_expect(mask != 0, 0)) {
            const size_t row = i + static_cast<size_t>(__builtin_ctz(mask));
            mask &= mask - 1;
            const unsigned distance = plane_distance(planes, stride, row, query);
            if (distance <= radius) hits[found++] = Hit{query_number, static_cast<uint32_t>(row), distance};
        }
    }
    return found;
}

}  // namespace avx2

extern const Kernels kSearchAvx2;
const Kernels kSearchAvx2 = {avx2::sweep, avx2::stream, avx2::verify, avx2::scan_rows_singly, avx2::scan_planes};

}  // namespace leadline
