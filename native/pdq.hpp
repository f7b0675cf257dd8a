// PDQ hashing of full-resolution pixels, equal bit for bit to pdqhash 0.2.x (family b), and its quality.
//
// Three paths give the same answer:
//   estimate   only the 64x64 samples PDQ keeps, as two sparse products straight from the bytes, with a bound on how
//              far each coefficient of the reference may lie from the estimate
//   replay     the reference's own float operations, many rows or columns at a time; taken where the bound leaves a
//              bit or the quality open, and at once for small and narrow pictures
//   reference  the same operations one after the other: the reading copy, and the oracle of the tests
#pragma once
#include <cstddef>
#include <cstdint>

#include "cpu.hpp"

namespace leadline {

constexpr size_t kPdqSide = 64;          // samples per side
constexpr size_t kPdqCoefficients = 256;  // 16 x 16 frequencies
constexpr size_t kPdqTransforms = 8;      // in the order of domain.Transform
constexpr size_t kPdqHashBytes = 32;      // as the hex text reads: bit 255 first
constexpr size_t kPdqMinSide = 5;         // smaller pictures have the zero hash and quality 0

// 8-bit pixels as they lie in memory: `channels` is 1 (grey) or 3 (RGB), a row's bytes are contiguous.
struct PixelView {
    const uint8_t* data;
    size_t height, width;
    ptrdiff_t row_stride;  // bytes from one row to the next; any value
    size_t channels;
};

struct PdqHashes {
    uint8_t hash[kPdqTransforms][kPdqHashBytes];
    int quality;
    bool recomputed;  // the estimate left a bit or the quality open, so the reference's operations were replayed
};

// `orientation` is EXIF's 1..8: the hash is that of the oriented picture. Without `dihedral` only hash[0] is set.
PdqHashes pdq_hash(const PixelView& pixels, int orientation, bool dihedral, Isa isa);
PdqHashes pdq_hash_reference(const PixelView& pixels, int orientation);

// What the paths found on their way, for the tests of the bound. Pictures of at least 5x5, orientation 1.
struct PdqTrace {
    double estimate[kPdqCoefficients], bound[kPdqCoefficients];
    float replayed[kPdqCoefficients], reference[kPdqCoefficients];
    double sample_error, sample_bound;  // greatest error of a difference of neighbouring samples, and its bound
    int estimated_quality, replayed_quality, reference_quality;
};
PdqTrace pdq_trace(const PixelView& pixels, Isa isa);

}  // namespace leadline
