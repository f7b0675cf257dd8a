// PDQ one operation after the other: the reading copy, the oracle of the tests, and the loops for processors without
// AVX. Follows pdqhash 0.2.8 (ThreatExchange pdq/cpp/downscaling, pdq/cpp/hashing) in the order and the precision of
// every operation; must be compiled without contraction into fused multiply-adds.
#include "pdq_serial.hpp"

#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "pdq_kernels.hpp"

namespace leadline {

namespace {

// pdqhash takes luma in double (numpy) and rounds it to float. Grey pixels stand for R = G = B.
std::vector<float> luma_of(const PixelView& pixels) {
    std::vector<float> luma(pixels.height * pixels.width);
    for (size_t y = 0; y < pixels.height; y++)
        for (size_t x = 0; x < pixels.width; x++) {
            const uint8_t* p = pixels.data + static_cast<ptrdiff_t>(y) * pixels.row_stride + x * pixels.channels;
            const uint8_t r = p[0], g = p[pixels.channels == 3 ? 1 : 0], b = p[pixels.channels == 3 ? 2 : 0];
            luma[y * pixels.width + x] = static_cast<float>(r * 0.299 + g * 0.587 + b * 0.114);
        }
    return luma;
}

// Running mean of `length` values, `stride` apart: add what enters, subtract what leaves, divide by the count.
void box_1d(const float* in, float* out, size_t length, size_t stride) {
    const Box box = box_of(length);
    float sum = 0;
    int count = 0;
    for (size_t k = 0; k < length + box.ahead; k++) {
        if (k < length) sum += in[k * stride], count++;
        if (k >= box.window) sum -= in[(k - box.window) * stride], count--;
        if (k >= box.ahead) out[(k - box.ahead) * stride] = sum / static_cast<float>(count);
    }
}

int quality_of(const float* samples) {
    int gradients = 0;
    const auto add = [&](float u, float v) { gradients += std::abs(static_cast<int>((u - v) * 100 / 255)); };
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < 64; j++) {
            if (i < 63) add(samples[i * 64 + j], samples[(i + 1) * 64 + j]);
            if (j < 63) add(samples[i * 64 + j], samples[i * 64 + j + 1]);
        }
    return gradients / 90 < 100 ? gradients / 90 : 100;
}

}  // namespace

const float* dct_matrix() {
    static const std::vector<float> matrix = [] {
        std::vector<float> m(16 * 64);
        const double scale = static_cast<float>(std::sqrt(2.0 / 64.0)), step = 3.14159265358979323846 / 2.0 / 64.0;
        for (size_t i = 0; i < 16; i++)
            for (size_t j = 0; j < 64; j++)
                m[i * 64 + j] = static_cast<float>(scale * std::cos(step * double(i + 1) * double(2 * j + 1)));
        return m;
    }();
    return matrix.data();
}

int pdq_quality(const float* samples) { return quality_of(samples); }

void reference_samples(const PixelView& pixels, float* samples) {
    const size_t height = pixels.height, width = pixels.width;
    std::vector<float> luma = luma_of(pixels), other(luma.size());
    if (height != 64 || width != 64)
        for (int pass = 0; pass < 2; pass++) {
            for (size_t y = 0; y < height; y++) box_1d(&luma[y * width], &other[y * width], width, 1);
            for (size_t x = 0; x < width; x++) box_1d(&other[x], &luma[x], height, width);
        }
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < 64; j++)
            samples[i * 64 + j] = luma[sampled_place(i, height) * width + sampled_place(j, width)];
}

void reference_transform(const float* samples, float* coefficients) {
    const float* dct = dct_matrix();
    float half[16][64];
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 64; j++) {
            float sum = 0;
            for (size_t k = 0; k < 64; k++) sum += dct[i * 64 + k] * samples[k * 64 + j];
            half[i][j] = sum;
        }
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++) {
            float sum = 0;
            for (size_t k = 0; k < 64; k++) sum += half[i][k] * dct[j * 64 + k];
            coefficients[i * 16 + j] = sum;
        }
}

namespace pdq_serial {

constexpr size_t kLanes = 4;
#include "pdq_loops.inl"

}  // namespace pdq_serial

const PdqKernels kPdqSerial = {65535,
                               pdq_serial::band_wide,
                               pdq_serial::band_wide,
                               pdq_serial::columns,
                               pdq_serial::transform,
                               pdq_serial::filter_scratch,
                               pdq_serial::filter,
                               pdq_serial::transform_exact};

}  // namespace leadline
