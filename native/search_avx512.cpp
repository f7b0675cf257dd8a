// The inner loops for AVX-512 with VPOPCNTDQ and BITALG.
#include <immintrin.h>

#include "search_kernels.hpp"

namespace leadline {
namespace avx512 {

constexpr uint32_t kLine = 32;

// Reads 64 bytes whatever `valid` is: tables end with padding.
static inline uint32_t filter_line(const uint16_t* p, uint32_t valid, uint16_t q, int limit) {
    const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi16(static_cast<short>(q)));
    const uint32_t mask = _mm512_cmple_epi16_mask(_mm512_popcnt_epi16(x), _mm512_set1_epi16(static_cast<short>(limit)));
    return valid < kLine ? mask & ((1u << valid) - 1) : mask;
}

#include "search_loops.inl"

static inline __m512i words(const uint64_t* rows, __m512i query) {
    return _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(rows), query));
}

static size_t scan_rows(const uint64_t* rows, size_t first_row, size_t count, const uint64_t* query, unsigned radius,
                        uint32_t query_number, Hit* hits) {
    const __m512i q = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(query)));
    const __m512i bound = _mm512_set1_epi64(radius);
    size_t found = 0, i = 0;
    // Two rows a register; four registers fold into eight sums whose rows come in this order.
    static const uint8_t place[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    for (; i + 8 <= count; i += 8) {
        const uint64_t* p = rows + (first_row + i) * 4;
        const __m512i a = words(p, q), b = words(p + 8, q), c = words(p + 16, q), d = words(p + 24, q);
        const __m512i ab = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        const __m512i cd = _mm512_add_epi64(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        const __m512i even = _mm512_shuffle_i64x2(ab, cd, 0x88), odd = _mm512_shuffle_i64x2(ab, cd, 0xDD);
        const __m512i sum = _mm512_add_epi64(even, odd);
        unsigned mask = _mm512_cmple_epu64_mask(sum, bound);
        while (__builtin_expect(mask != 0, 0)) {
            const size_t row = first_row + i + place[__builtin_ctz(mask)];
            mask &= mask - 1;
            hits[found++] = Hit{query_number, static_cast<uint32_t>(row), row_distance(rows + row * 4, query)};
        }
    }
    return found + scan_rows_singly(rows, first_row + i, count - i, query, radius, query_number, hits + found);
}

static size_t scan_planes(const uint32_t* planes, size_t stride, size_t first_row, size_t count, const uint64_t* query,
                          unsigned radius, uint32_t query_number, Hit* hits) {
    const __m512i w0 = _mm512_set1_epi32(static_cast<int>(half_word(query, 0)));
    const __m512i w1 = _mm512_set1_epi32(static_cast<int>(half_word(query, 1)));
    const __m512i w2 = _mm512_set1_epi32(static_cast<int>(half_word(query, 2)));
    const __m512i bound = _mm512_set1_epi32(static_cast<int>(radius));
    auto near = [&](size_t i) -> uint32_t {
        const __m512i a = _mm512_popcnt_epi32(_mm512_xor_si512(_mm512_loadu_si512(planes + i), w0));
        const __m512i b = _mm512_popcnt_epi32(_mm512_xor_si512(_mm512_loadu_si512(planes + stride + i), w1));
        const __m512i c = _mm512_popcnt_epi32(_mm512_xor_si512(_mm512_loadu_si512(planes + 2 * stride + i), w2));
        return _mm512_cmple_epi32_mask(_mm512_add_epi32(_mm512_add_epi32(a, b), c), bound);
    };
    size_t found = 0;
    for (size_t i = first_row; i < first_row + count; i += 32) {
        uint32_t mask = near(i) | near(i + 16) << 16;
        while (__builtin_expect(mask != 0, 0)) {
            const size_t row = i + static_cast<size_t>(__builtin_ctz(mask));
            mask &= mask - 1;
            const unsigned distance = plane_distance(planes, stride, row, query);
            if (distance <= radius) hits[found++] = Hit{query_number, static_cast<uint32_t>(row), distance};
        }
    }
    return found;
}

}  // namespace avx512

extern const Kernels kSearchAvx512;
const Kernels kSearchAvx512 = {avx512::sweep, avx512::stream, avx512::verify, avx512::scan_rows, avx512::scan_planes};

}  // namespace leadline
