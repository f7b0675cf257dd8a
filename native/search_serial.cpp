// Plain C++: the reading copy of the inner loops, the brute-force oracle, and what runs on processors without AVX2.
#include <algorithm>

#include "search.hpp"
#include "search_kernels.hpp"

namespace leadline {
namespace serial {

constexpr uint32_t kLine = 32;

static inline uint32_t filter_line(const uint16_t* p, uint32_t valid, uint16_t q, int limit) {
    const uint32_t n = valid < kLine ? valid : kLine;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < n; i++)
        mask |= static_cast<uint32_t>(__builtin_popcount(static_cast<unsigned>(p[i] ^ q)) <= limit) << i;
    return mask;
}

#include "search_loops.inl"

static size_t scan_planes(const uint32_t* planes, size_t stride, size_t first_row, size_t count, const uint64_t* query,
                          unsigned radius, uint32_t query_number, Hit* hits) {
    size_t found = 0;
    for (size_t row = first_row; row < first_row + count; row++) {
        int prefix = 0;
        for (size_t k = 0; k < 3; k++) prefix += __builtin_popcount(planes[k * stride + row] ^ half_word(query, k));
        if (prefix > static_cast<int>(radius)) continue;
        const unsigned distance = plane_distance(planes, stride, row, query);
        if (distance <= radius) hits[found++] = Hit{query_number, static_cast<uint32_t>(row), distance};
    }
    return found;
}

}  // namespace serial

const Kernels kSearchSerial = {serial::sweep, serial::stream, serial::verify, serial::scan_rows_singly, serial::scan_planes};

SearchOutput scan_reference(const uint8_t* hashes, size_t count, const uint8_t* queries, size_t query_count, int radius) {
    SearchOutput out;
    out.starts.push_back(0);
    std::vector<std::pair<uint16_t, uint32_t>> found;
    for (size_t q = 0; q < query_count; q++) {
        found.clear();
        for (size_t i = 0; i < count; i++) {
            int distance = 0;
            for (int k = 0; k < 32; k++)
                distance += __builtin_popcount(static_cast<unsigned>(hashes[i * 32 + k] ^ queries[q * 32 + k]));
            if (distance <= radius) found.emplace_back(static_cast<uint16_t>(distance), static_cast<uint32_t>(i));
        }
        std::sort(found.begin(), found.end());
        for (const auto& [distance, position] : found) {
            out.positions.push_back(position);
            out.distances.push_back(distance);
        }
        out.starts.push_back(static_cast<int64_t>(out.positions.size()));
        out.truncated.push_back(0);
    }
    return out;
}

}  // namespace leadline
