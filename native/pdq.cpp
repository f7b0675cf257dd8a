// PDQ's estimate, the decision whether it is certain, and what is made of it: hashes of all transforms, and quality.
#include "pdq.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "pdq_axis.hpp"
#include "pdq_kernels.hpp"
#include "pdq_serial.hpp"

namespace leadline {

namespace {

const PdqKernels& kernels_for(Isa isa) {
#if defined(LEADLINE_X86)
    if (isa == Isa::avx512) return kPdqAvx512;
    if (isa == Isa::avx2) return kPdqAvx2;
#endif
    (void)isa;
    return kPdqSerial;
}

// ---- orientation ----------------------------------------------------------------------------------------------------

// EXIF 1..8 as what is done to the stored picture: rows reversed, columns reversed, then rows and columns swapped.
struct Turn {
    bool rows_reversed, columns_reversed, swapped;
    explicit Turn(int orientation)
        : rows_reversed(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7),
          columns_reversed(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
          swapped(orientation >= 5) {}
};

// The oriented picture; `store` owns its bytes where they had to be moved.
PixelView oriented(const PixelView& p, int orientation, std::vector<uint8_t>& store) {
    if (orientation == 1) return p;
    const Turn turn(orientation);
    const size_t height = turn.swapped ? p.width : p.height, width = turn.swapped ? p.height : p.width;
    store.resize(height * width * p.channels);
    const auto row_step = turn.rows_reversed ? -p.row_stride : p.row_stride;
    const auto column_step = static_cast<ptrdiff_t>(turn.columns_reversed ? -p.channels : p.channels);
    const uint8_t* corner = p.data + (turn.rows_reversed ? static_cast<ptrdiff_t>(p.height - 1) * p.row_stride : 0) +
                            (turn.columns_reversed ? (p.width - 1) * p.channels : 0);
    const auto down = turn.swapped ? column_step : row_step, across = turn.swapped ? row_step : column_step;
    uint8_t* to = store.data();
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, to += p.channels)
            std::memcpy(to, corner + static_cast<ptrdiff_t>(y) * down + static_cast<ptrdiff_t>(x) * across, p.channels);
    return {store.data(), height, width, static_cast<ptrdiff_t>(width * p.channels), p.channels};
}

// ---- estimate -------------------------------------------------------------------------------------------------------

struct Estimate {
    double samples[64 * 64], coefficients[kPdqCoefficients], bounds[kPdqCoefficients];
    double difference_bound;  // of two neighbouring samples, on quality's scale
};

void estimate_samples(const PixelView& p, int orientation, const PdqKernels& kernels, double* samples) {
    const Turn turn(orientation);
    const auto rows = axis_of(p.height, 0, turn.rows_reversed);
    const auto columns = axis_of(p.width, p.channels, turn.columns_reversed);
    const auto band = rows->greatest <= kernels.most_band_weight ? kernels.band : kernels.band_wide;
    std::vector<uint32_t> sums(p.width * p.channels);
    double line[64];
    std::fill(samples, samples + 64 * 64, 0.0);
    for (const AxisPart& part : rows->parts) {
        band({p.data + static_cast<ptrdiff_t>(part.first) * p.row_stride, p.row_stride, part.weights.data(), part.count,
              sums.size(), sums.data()});
        kernels.columns(columns->spans.data(), sums.data(), line);
        for (size_t j = 0; j < 64; j++)
            samples[turn.swapped ? j * 64 + part.sample : part.sample * 64 + j] += line[j] * part.scale;
    }
}

// How far the reference may lie from the estimate. The estimate's row products are whole numbers and exact, the rest is
// double: its error (1e-12) is nothing beside that of the reference, which rounds to float (unit u = 2^-24) everywhere.
// Model: roundings are independent, each uniform within +- u |x|, hence of variance u^2 x^2 / 3 (Higham and Mary, "A new
// approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019: an error built of amplitudes
// a_k stays within lambda u sqrt(sum a_k^2) but for a chance of 2 exp(-lambda^2 / 2)). With b the brightness:
//  1 A running sum over a window w is about w b and is rounded twice a place, and its error stays in it for good. Divided
//    by w, the error of the means is a random walk of variance 2 u^2 b^2 / 3 a place, whatever w is. Two passes go down:
//    between two of the 64 sampled rows the walk gains q = 4 (H / 64) u^2 b^2 / 3; across, the same with W. That later
//    passes average over neighbouring lines is not counted, as lines of a drawn picture can be equal.
//    The orthonormal DCT of a walk has the variance q / (4 sin^2(pi f / 128)) at frequency f.
//  2 Luma and four divisions are rounded once each and leave nothing to the next place: 5 u^2 b^2 / 3 at any frequency.
//  3 The DCT rounds each product and each partial sum: `squares` is the sum of their squares, those of the first product
//    carried through the second.
//  4 Periodic pictures repeat the same roundings, so that a walk goes straight on: its variance grows with the square of
//    the length, and the DCT of a straight line falls with f^-2, not f^-1. Hence another length / (kDrift f^2) beside the
//    walk's 1; kDrift is measured, not derived.
//  5 b^2 is the mean square of the samples, and what can hide between them: a line one pixel thin, 255 / w in its box.
// Lambda = 16 leaves nothing to chance for independent roundings; the rest is for what drawn pictures do to the model.
// Measured, greatest error / bound: 0.17 on 1,000 crops and resizes of photographs and screenshots, 0.46 on 6,000 drawn
// stripes, saws, tiles, chequers, rings, letters, cosines and noise up to 12 megapixels (a part is in tests/match/test_pdq.py).
constexpr double kLambda = 16, kDrift = 50, kUnit = 0x1p-24, kPi = 3.14159265358979323846;

// Variance at frequency f of the error of the running sums along `length` places, in units of u^2 b^2 / 3.
double walk_gain(double length, size_t frequency) {
    const double f = static_cast<double>(frequency), sine = std::sin(kPi * f / 128);
    return 4 * length / 64 * (1 + length / (kDrift * f * f)) / (4 * sine * sine);
}

void bound_errors(const PixelView& p, bool swapped, const double* squares, Estimate& e) {
    const double hidden = 255.0 / static_cast<double>(std::min(box_of(p.height).window, box_of(p.width).window));
    double power = 0;
    for (double sample : e.samples) power += sample * sample / (64 * 64);
    power += hidden * hidden;
    const double height = static_cast<double>(swapped ? p.width : p.height);
    const double width = static_cast<double>(swapped ? p.height : p.width);
    double down[16], across[16];
    for (size_t k = 0; k < 16; k++) down[k] = walk_gain(height, k + 1), across[k] = walk_gain(width, k + 1);
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++) {
            const double sum = power * (5 + down[i] + across[j]) + squares[i * 16 + j];
            e.bounds[i * 16 + j] = kLambda * kUnit * std::sqrt(sum / 3);
        }
    // Two samples, each with all the steps of both walks; the constant covers the quality's own arithmetic.
    const double difference = 2 * power * (5 + 4 * (height + width)) / 3;
    e.difference_bound = 1e-4 + kLambda * kUnit * std::sqrt(difference) * 100 / 255;
}

void estimate(const PixelView& p, int orientation, const PdqKernels& kernels, Estimate& e) {
    double squares[kPdqCoefficients];
    estimate_samples(p, orientation, kernels, e.samples);
    kernels.transform(e.samples, dct_matrix(), e.coefficients, squares);
    bound_errors(p, Turn(orientation).swapped, squares, e);
}

// ---- from coefficients to bits --------------------------------------------------------------------------------------

// Of each transform: which coefficients change their sign, and whether rows and columns are swapped.
enum class Sign { none, by_row, by_column, by_both };
struct TransformRule {
    Sign sign;
    bool flipped, swapped;  // flipped: the other half of them changes sign
};
constexpr TransformRule kRules[kPdqTransforms] = {
    {Sign::none, false, false}, {Sign::by_column, true, true},  // original, rotate90
    {Sign::by_both, false, false}, {Sign::by_row, true, true},  // rotate180, rotate270
    {Sign::by_row, true, false}, {Sign::by_column, true, false},  // flip_x, flip_y
    {Sign::none, false, true}, {Sign::by_both, false, true}};  // flip_plus1, flip_minus1

// values[i][j] with the signs of a rule; pdqhash negates even places for rows or columns, odd places for both.
template <class T>
void apply_signs(const T* values, const TransformRule& rule, T* out) {
    const size_t rows = rule.sign != Sign::by_column, columns = rule.sign != Sign::by_row;
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++) {
            const bool odd = rule.sign != Sign::none && (rows * i + columns * j) % 2 == 1;
            out[i * 16 + j] = odd != rule.flipped ? -values[i * 16 + j] : values[i * 16 + j];
        }
}

// The median of 256 as PDQ takes it: the lower one, sorted[127].
template <class T>
T lower_median(const T* values) {
    T sorted[kPdqCoefficients];
    std::copy(values, values + kPdqCoefficients, sorted);
    std::nth_element(sorted, sorted + 127, sorted + kPdqCoefficients);
    return sorted[127];
}

template <class T>
void write_hash(const T* values, T median, bool swapped, uint8_t* hash) {
    std::memset(hash, 0, kPdqHashBytes);
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++) {
            const size_t bit = 255 - (swapped ? j * 16 + i : i * 16 + j);
            if (values[i * 16 + j] > median) hash[bit / 8] = static_cast<uint8_t>(hash[bit / 8] | 0x80 >> bit % 8);
        }
}

// No value may cross from the lower to the upper half, however the errors fall.
bool halves_are_certain(const double* values, const double* bounds, double median) {
    double lower = -HUGE_VAL, upper = HUGE_VAL;
    size_t below = 0;
    for (size_t k = 0; k < kPdqCoefficients; k++) {
        if (values[k] <= median)
            lower = std::max(lower, values[k] + bounds[k]), below++;
        else
            upper = std::min(upper, values[k] - bounds[k]);
    }
    return below == 128 && lower < upper;
}

bool hash_estimate(const Estimate& e, bool dihedral, PdqHashes& out) {
    for (size_t t = 0; t < (dihedral ? kPdqTransforms : 1); t++) {
        double values[kPdqCoefficients];
        apply_signs(e.coefficients, kRules[t], values);
        const double median = lower_median(values);
        if (!halves_are_certain(values, e.bounds, median)) return false;
        write_hash(values, median, kRules[t].swapped, out.hash[t]);
    }
    return true;
}

void hash_exact(const float* coefficients, bool dihedral, PdqHashes& out) {
    for (size_t t = 0; t < (dihedral ? kPdqTransforms : 1); t++) {
        float values[kPdqCoefficients];
        apply_signs(coefficients, kRules[t], values);
        write_hash(values, lower_median(values), kRules[t].swapped, out.hash[t]);
    }
}

// ---- quality --------------------------------------------------------------------------------------------------------

// The quality, or -1 where errors within the bound could change it. The reference adds up whole parts of differences,
// so only differences near a whole number count, and only if all of them together reach another quality.
int quality_estimate(const Estimate& e) {
    float samples[64 * 64];
    for (size_t k = 0; k < 64 * 64; k++) samples[k] = static_cast<float>(e.samples[k]);
    const float bound = static_cast<float>(e.difference_bound);
    int sum = 0, might_lose = 0, might_gain = 0;
    const auto add = [&](float u, float v) {
        const float size = std::fabs(u - v) * (100.0f / 255.0f);
        const int whole = static_cast<int>(size);
        const float part = size - static_cast<float>(whole);
        sum += whole;
        might_lose += (part < bound) & (whole > 0);
        might_gain += part > 1 - bound;
    };
    for (size_t k = 0; k < 63 * 64; k++) add(samples[k], samples[k + 64]);
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < 63; j++) add(samples[i * 64 + j], samples[i * 64 + j + 1]);
    const int least = std::min((sum - might_lose) / 90, 100), most = std::min((sum + might_gain) / 90, 100);
    return least == most ? least : -1;
}

// ---- the paths ------------------------------------------------------------------------------------------------------

void replay_samples(const PixelView& p, const PdqKernels& kernels, float* samples) {
    if (p.height == 64 && p.width == 64) return reference_samples(p, samples);  // not filtered at all
    size_t rows[64], columns[64];
    for (size_t k = 0; k < 64; k++) rows[k] = sampled_place(k, p.height), columns[k] = sampled_place(k, p.width);
    FilterArgs args{p.data, p.row_stride, p.height, p.width, p.channels, rows, columns, nullptr, samples};
    std::vector<float> scratch(kernels.filter_scratch(args) + 16);
    args.scratch = scratch.data();
    kernels.filter(args);
}

bool is_hashable(const PixelView& p) { return std::min(p.height, p.width) >= kPdqMinSide; }

// Small and narrow pictures are replayed at once: that costs no more, and where a row or column is sampled several times
// its error counts several times. So is a side of more than 370,000 pixels, whose sums would not fit 31 bits.
bool is_estimated(const PixelView& p) {
    const size_t window = box_of(p.height).window;
    return std::min(p.height, p.width) >= 64 && p.height * p.width > 128 * 128 && 255 * window * window < size_t{1} << 31;
}

}  // namespace

PdqHashes pdq_hash(const PixelView& pixels, int orientation, bool dihedral, Isa isa) {
    PdqHashes out{};
    if (!is_hashable(pixels)) return out;
    const PdqKernels& kernels = kernels_for(isa);
    if (is_estimated(pixels)) {
        Estimate e;
        estimate(pixels, orientation, kernels, e);
        out.quality = quality_estimate(e);
        if (out.quality >= 0 && hash_estimate(e, dihedral, out)) return out;
    }
    std::vector<uint8_t> moved;
    float samples[64 * 64], coefficients[kPdqCoefficients];
    replay_samples(oriented(pixels, orientation, moved), kernels, samples);
    kernels.transform_exact(samples, dct_matrix(), coefficients);
    hash_exact(coefficients, dihedral, out);
    out.quality = pdq_quality(samples);
    out.recomputed = is_estimated(pixels);
    return out;
}

PdqHashes pdq_hash_reference(const PixelView& pixels, int orientation) {
    PdqHashes out{};
    out.recomputed = true;
    if (!is_hashable(pixels)) return out;
    std::vector<uint8_t> moved;
    float samples[64 * 64], coefficients[kPdqCoefficients];
    reference_samples(oriented(pixels, orientation, moved), samples);
    reference_transform(samples, coefficients);
    hash_exact(coefficients, true, out);
    out.quality = pdq_quality(samples);
    return out;
}

PdqTrace pdq_trace(const PixelView& pixels, Isa isa) {
    PdqTrace trace{};
    Estimate e;
    float samples[64 * 64];
    const PdqKernels& kernels = kernels_for(isa);
    reference_samples(pixels, samples);
    reference_transform(samples, trace.reference);
    trace.reference_quality = pdq_quality(samples);
    replay_samples(pixels, kernels, samples);
    kernels.transform_exact(samples, dct_matrix(), trace.replayed);
    trace.replayed_quality = pdq_quality(samples);
    estimate(pixels, 1, kernels, e);
    std::copy(e.coefficients, e.coefficients + kPdqCoefficients, trace.estimate);
    std::copy(e.bounds, e.bounds + kPdqCoefficients, trace.bound);
    trace.estimated_quality = quality_estimate(e);
    trace.sample_bound = e.difference_bound;
    const auto compare = [&](size_t a, size_t b) {
        const double error = (static_cast<double>(samples[a]) - samples[b]) - (e.samples[a] - e.samples[b]);
        trace.sample_error = std::max(trace.sample_error, std::fabs(error) * 100 / 255);
    };
    for (size_t k = 0; k < 63 * 64; k++) compare(k, k + 64);
    for (size_t k = 0; k + 1 < 64 * 64; k++)
        if (k % 64 != 63) compare(k, k + 1);
    return trace;
}

}  // namespace leadline
