// Python face of PDQ: arrays in, bytes out; checks shapes, releases the GIL, holds no algorithm.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <vector>

#include "pdq.hpp"

namespace nb = nanobind;
using namespace leadline;

namespace {

using Pixels = nb::ndarray<nb::ro, nb::device::cpu>;  // any type is taken here, so that none is converted in silence

// Pixels as a view of the caller's memory, or of a copy where a row's bytes do not follow each other.
struct PixelInput {
    PixelView view{};
    std::vector<uint8_t> copy;

    explicit PixelInput(const Pixels& a) {
        const bool rgb = a.ndim() == 3 && a.shape(2) == 3;
        if (a.dtype() != nb::dtype<uint8_t>() || (!rgb && a.ndim() != 2))
            throw nb::value_error("pixels are uint8 of shape (H, W) or (H, W, 3)");
        const ptrdiff_t down = a.stride(0), across = a.stride(1), deep = rgb ? a.stride(2) : 1;
        view = {static_cast<const uint8_t*>(a.data()), a.shape(0), a.shape(1), down, rgb ? 3u : 1u};
        if (deep != 1 || (view.width > 1 && across != static_cast<ptrdiff_t>(view.channels))) gather(across, deep);
    }
    PixelInput(const PixelInput&) = delete;
    PixelInput& operator=(const PixelInput&) = delete;

  private:
    void gather(ptrdiff_t across, ptrdiff_t deep) {
        copy.resize(view.height * view.width * view.channels);
        uint8_t* to = copy.data();
        for (size_t y = 0; y < view.height; y++)
            for (size_t x = 0; x < view.width; x++)
                for (size_t c = 0; c < view.channels; c++)
                    *to++ = view.data[static_cast<ptrdiff_t>(y) * view.row_stride + static_cast<ptrdiff_t>(x) * across +
                                      static_cast<ptrdiff_t>(c) * deep];
        view.data = copy.data();
        view.row_stride = static_cast<ptrdiff_t>(view.width * view.channels);
    }
};

void check_orientation(int orientation) {
    if (orientation < 1 || orientation > 8) throw nb::value_error("orientation is EXIF's 1..8");
}

Isa choose_isa(int wanted) {
    if (wanted < 0) return best_isa();
    if (wanted > static_cast<int>(best_isa())) throw nb::value_error("this processor lacks that instruction set");
    return static_cast<Isa>(wanted);
}

template <class T>
nb::object array_of(const T* values, size_t rows, size_t columns) {
    T* owned = new T[rows * columns];
    nb::capsule guard(owned, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    std::copy(values, values + rows * columns, owned);
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<2>>(owned, {rows, columns}, guard));
}

nb::tuple pdq_hash_py(const Pixels& pixels, int orientation, bool dihedral, int isa) {
    check_orientation(orientation);
    const Isa chosen = choose_isa(isa);
    const PixelInput input(pixels);
    PdqHashes out;
    {
        nb::gil_scoped_release release;
        out = pdq_hash(input.view, orientation, dihedral, chosen);
    }
    const size_t count = dihedral ? kPdqTransforms : 1;
    return nb::make_tuple(array_of(out.hash[0], count, kPdqHashBytes), out.quality, out.recomputed);
}

nb::tuple pdq_hash_reference_py(const Pixels& pixels, int orientation) {
    check_orientation(orientation);
    const PixelInput input(pixels);
    PdqHashes out;
    {
        nb::gil_scoped_release release;
        out = pdq_hash_reference(input.view, orientation);
    }
    return nb::make_tuple(array_of(out.hash[0], kPdqTransforms, kPdqHashBytes), out.quality);
}

nb::dict pdq_trace_py(const Pixels& pixels, int isa) {
    const Isa chosen = choose_isa(isa);
    const PixelInput input(pixels);
    if (std::min(input.view.height, input.view.width) < kPdqMinSide) throw nb::value_error("pixels are at least 5 x 5");
    const PdqTrace trace = pdq_trace(input.view, chosen);
    nb::dict out;
    out["estimate"] = array_of(trace.estimate, 16, 16);
    out["bound"] = array_of(trace.bound, 16, 16);
    out["replayed"] = array_of(trace.replayed, 16, 16);
    out["reference"] = array_of(trace.reference, 16, 16);
    out["sample_error"] = trace.sample_error;
    out["sample_bound"] = trace.sample_bound;
    out["qualities"] = nb::make_tuple(trace.estimated_quality, trace.replayed_quality, trace.reference_quality);
    return out;
}

const char* cpu_isa() {
    static const char* const kNames[] = {"serial", "avx2", "avx512"};
    return kNames[static_cast<int>(best_isa())];
}

}  // namespace

void bind_pdq(nb::module_& m) {
    m.def("cpu_isa", &cpu_isa);
    m.def("pdq_hash", &pdq_hash_py, nb::arg("pixels"), nb::arg("orientation") = 1, nb::arg("dihedral") = false,
          nb::arg("isa") = -1);
    m.def("pdq_hash_reference", &pdq_hash_reference_py, nb::arg("pixels"), nb::arg("orientation") = 1);
    m.def("pdq_trace", &pdq_trace_py, nb::arg("pixels"), nb::arg("isa") = -1,
          "What PDQ's paths found on their way; for tests.");
}
