// Weights of PDQ's 64 samples along one axis: what the reference's two box filters come to at the places it samples.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "pdq_kernels.hpp"

namespace leadline {

// Part of one sample's weights along an axis: whole numbers over one divisor. All but the last sample have one part;
// the last one has two where its outermost box is cut off by the border and so divides by less.
struct AxisPart {
    size_t sample, first, count;
    double scale;
    std::vector<uint16_t> weights;
};

// Weights along one axis for all 64 samples; as doubles with luma folded in where it is an axis of columns.
struct Axis {
    std::vector<AxisPart> parts;
    size_t greatest = 0;
    std::vector<double> values;
    std::vector<Span> spans;
    size_t size_bytes = 0;

    Axis(size_t length, size_t channels, bool reversed);
    Axis(const Axis&) = delete;
    Axis& operator=(const Axis&) = delete;

  private:
    void fold_luma(size_t channels);
};

// channels: 0 for an axis of rows. Made once for each size, then shared by all threads.
std::shared_ptr<const Axis> axis_of(size_t length, size_t channels, bool reversed);

}  // namespace leadline
