// Python face of the search: buffers in, arrays out; checks shapes, releases the GIL, holds no logic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>

#include "search.hpp"

namespace nb = nanobind;
using namespace leadline;

namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Hashes = nb::ndarray<const uint8_t, nb::shape<-1, 32>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T> take(std::vector<T>&& values) {
    auto* owner = new std::vector<T>(std::move(values));
    nb::capsule guard(owner, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::ndarray<nb::numpy, T>(owner->data(), {owner->size()}, guard);
}

Isa choose_isa(int wanted) {
    const int best = static_cast<int>(best_isa());
    if (wanted < 0) return best_isa();
    if (wanted > best) throw nb::value_error("this processor lacks that instruction set");
    return static_cast<Isa>(wanted);
}

nb::object bool_array(std::vector<uint8_t>&& flags) {
    auto* owner = new std::vector<uint8_t>(std::move(flags));
    nb::capsule guard(owner, [](void* p) noexcept { delete static_cast<std::vector<uint8_t>*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, bool>(reinterpret_cast<bool*>(owner->data()), {owner->size()}, guard));
}

int layout_number(const std::string& name) {
    if (name == "auto") return -1;
    if (name == "scan") return 0;
    if (name == "mih16") return 1;
    if (name == "mih-r2") return 2;
    throw nb::value_error("layout is auto, scan, mih16 or mih-r2");
}

}  // namespace

void bind_search(nb::module_& m) {
    nb::class_<HammingIndex>(m, "HammingIndex")
        .def("__init__",
             [](HammingIndex* self, Bytes buffer) {
                 try {
                     new (self) HammingIndex(buffer.data(), buffer.size());
                 } catch (const std::invalid_argument& e) {
                     throw nb::value_error(e.what());
                 }
             },
             nb::arg("buffer"), nb::keep_alive<1, 2>())
        .def_prop_ro("count", &HammingIndex::count)
        .def_prop_ro("distinct", &HammingIndex::distinct)
        .def_prop_ro("layout", &HammingIndex::layout_name)
        .def_prop_ro("size_bytes", &HammingIndex::size)
        .def(
            "search",
            [](const HammingIndex& self, Hashes queries, int radius, std::optional<Bytes> dead, int64_t limit, int threads, int isa) {
                SearchOutput out;
                const Isa chosen = choose_isa(isa);
                {
                    nb::gil_scoped_release release;
                    out = self.search(queries.data(), queries.shape(0), radius, dead ? dead->data() : nullptr, dead ? dead->size() : 0,
                                      limit, threads, chosen);
                }
                return nb::make_tuple(take(std::move(out.starts)), take(std::move(out.positions)), take(std::move(out.distances)),
                                      bool_array(std::move(out.truncated)));
            },
            nb::arg("queries"), nb::arg("radius"), nb::arg("dead").none() = nb::none(), nb::arg("limit") = 0, nb::arg("threads") = 1,
            nb::arg("isa") = -1);

    m.def(
        "build_index",
        [](Hashes hashes, int threads, const std::string& layout) {
            const int number = layout_number(layout);
            Block block;
            {
                nb::gil_scoped_release release;
                block = build_index(hashes.data(), hashes.shape(0), threads, number);
            }
            auto* owner = new Block(block);
            nb::capsule guard(owner, [](void* p) noexcept {
                free_block(*static_cast<Block*>(p));
                delete static_cast<Block*>(p);
            });
            return nb::ndarray<nb::numpy, uint8_t>(owner->data, {owner->size}, guard);
        },
        nb::arg("hashes"), nb::arg("threads") = 1, nb::arg("layout") = "auto");

    m.def(
        "scan_reference",
        [](Hashes hashes, Hashes queries, int radius) {
            SearchOutput out;
            {
                nb::gil_scoped_release release;
                out = scan_reference(hashes.data(), hashes.shape(0), queries.data(), queries.shape(0), radius);
            }
            return nb::make_tuple(take(std::move(out.starts)), take(std::move(out.positions)), take(std::move(out.distances)));
        },
        nb::arg("hashes"), nb::arg("queries"), nb::arg("radius"));
}
