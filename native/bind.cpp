// The module's door: joins the two kernels' bindings, holds no logic.
#include <nanobind/nanobind.h>

namespace nb = nanobind;
void bind_pdq(nb::module_& m);
void bind_search(nb::module_& m);

NB_MODULE(_kernel, m) {
    m.doc() = "Leadline's compiled kernel: PDQ hashing and exact Hamming radius search.";
    bind_pdq(m);
    bind_search(m);
}
