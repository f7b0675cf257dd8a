// PDQ's hot products for AVX2: four rows at a time, as sums of four byte products in 32-bit lanes.
#include <immintrin.h>

#include <utility>

#include "pdq_kernels.hpp"

namespace leadline {
namespace pdq_avx2 {

constexpr size_t kLanes = 8;
#include "pdq_loops.inl"

typedef __m256i Bytes;
constexpr size_t kGroup = 32;

static inline Bytes load_bytes(const void* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
static inline void store_bytes(void* p, Bytes v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

static inline Bytes weights_of(const uint16_t* w) {
    const uint32_t low = w[0] | static_cast<uint32_t>(w[1]) << 8, high = w[2] | static_cast<uint32_t>(w[3]) << 8;
    return _mm256_set1_epi32(static_cast<int>(low | high << 16));
}

// sums += products of quads of bytes (one column's four rows) with the four weights
static inline void add_quads(Bytes quads, Bytes weights, uint32_t* sums) {
    const Bytes products = _mm256_madd_epi16(_mm256_maddubs_epi16(quads, weights), _mm256_set1_epi16(1));
    store_bytes(sums, _mm256_add_epi32(load_bytes(sums), products));
}

// Interleaving works inside lanes of 16 bytes: lane n of the k-th vector of sums holds columns 16 n + 4 k .. + 3.
static inline void add_four_rows(const uint8_t* const* rows, size_t x, Bytes weights, uint32_t* sums) {
    const Bytes r0 = load_bytes(rows[0] + x), r1 = load_bytes(rows[1] + x);
    const Bytes r2 = load_bytes(rows[2] + x), r3 = load_bytes(rows[3] + x);
    const Bytes low01 = _mm256_unpacklo_epi8(r0, r1), high01 = _mm256_unpackhi_epi8(r0, r1);
    const Bytes low23 = _mm256_unpacklo_epi8(r2, r3), high23 = _mm256_unpackhi_epi8(r2, r3);
    add_quads(_mm256_unpacklo_epi16(low01, low23), weights, sums);
    add_quads(_mm256_unpackhi_epi16(low01, low23), weights, sums + 8);
    add_quads(_mm256_unpacklo_epi16(high01, high23), weights, sums + 16);
    add_quads(_mm256_unpackhi_epi16(high01, high23), weights, sums + 24);
}

static inline void put_in_order(uint32_t* sums) {
    uint32_t mixed[kGroup];
    __builtin_memcpy(mixed, sums, sizeof mixed);
    for (size_t k = 0; k < 4; k++)
        for (size_t n = 0; n < 2; n++) __builtin_memcpy(sums + 16 * n + 4 * k, mixed + 8 * k + 4 * n, 16);
}

#include "pdq_band.inl"

}  // namespace pdq_avx2

extern const PdqKernels kPdqAvx2;
const PdqKernels kPdqAvx2 = {pdq_avx2::kMostBandWeight,  pdq_avx2::band,      pdq_avx2::band_wide,
                             pdq_avx2::columns,          pdq_avx2::transform, pdq_avx2::filter_scratch,
                             pdq_avx2::filter,           pdq_avx2::transform_exact};

}  // namespace leadline
