// The reference path, step by step; internal to PDQ.
#pragma once
#include "pdq.hpp"

namespace leadline {

const float* dct_matrix();  // 16 x 64: frequencies 1..16, rounded to float as the reference does
void reference_samples(const PixelView& pixels, float* samples);                // 64 x 64
void reference_transform(const float* samples, float* coefficients);            // 16 x 16
int pdq_quality(const float* samples);                                          // 0..100

}  // namespace leadline
