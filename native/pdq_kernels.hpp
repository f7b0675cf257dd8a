// The inner loops of PDQ, one table of functions per instruction set. Raw pointers only: these files are compiled with
// other flags than the rest, so nothing here may instantiate a shared inline function.
#pragma once
#include <cstddef>
#include <cstdint>

namespace leadline {

// out[x] = sum over r < count of weights[r] * rows[r * stride + x], x < width. The sums must stay below 2^31.
struct BandArgs {
    const uint8_t* rows;
    ptrdiff_t stride;
    const uint16_t* weights;
    size_t count, width;
    uint32_t* out;
};

// One sample: the weights of the values first .. first + count.
struct Span {
    size_t first, count;
    const double* weights;
};

struct FilterArgs {
    const uint8_t* pixels;
    ptrdiff_t stride;
    size_t height, width, channels;
    const size_t *sampled_rows, *sampled_columns;  // 64 each, ascending
    float* scratch;                                // replay_scratch() floats
    float* samples;                                // 64 x 64
};

struct PdqKernels {
    size_t most_band_weight;  // greatest weight `band` takes; `band_wide` takes any
    void (*band)(const BandArgs& args);
    void (*band_wide)(const BandArgs& args);
    // out[j] = sum of spans[j].weights * sums, j < 64
    void (*columns)(const Span* spans, const uint32_t* sums, double* out);
    // coefficients (256) of samples (64 x 64), and for each the sum of squares of all the partial results that the
    // reference rounds on its way to it, carried forward
    void (*transform)(const double* samples, const float* dct, double* coefficients, double* squares);
    // The reference's operations in its order, bit for bit; box filters at the sampled places only
    size_t (*filter_scratch)(const FilterArgs& args);
    void (*filter)(const FilterArgs& args);
    void (*transform_exact)(const float* samples, const float* dct, float* coefficients);
};

extern const PdqKernels kPdqSerial;
#if defined(LEADLINE_X86)
extern const PdqKernels kPdqAvx2;
extern const PdqKernels kPdqAvx512;
#endif

// Shared by all paths: how far one box of PDQ's tent filter reaches, and which places are sampled.
struct Box {
    size_t window, ahead;  // `ahead` values are summed up before the first one is written
};
static inline Box box_of(size_t length) {
    const size_t window = (length + 127) / 128;
    return {window, (window + 2) / 2 - 1};
}
static inline size_t sampled_place(size_t k, size_t length) {
    return static_cast<size_t>((static_cast<double>(k) + 0.5) * static_cast<double>(length) / 64.0);
}

}  // namespace leadline
