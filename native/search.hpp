// Exact Hamming radius search over 256-bit hashes: recall 1.0 at any radius, no approximation anywhere.
//
// An index is one flat block of bytes (little-endian, 64-byte aligned) that can be saved, mapped and shared by
// processes. Its hashes have their bits permuted once by a fixed random permutation (real hashes have correlated
// neighbouring bits; see `permute`), are sorted, and stored once however often they occur.
//
// Layouts
//   scan    eight planes of 32-bit words; a query reads the first three (the prefix) and the rest only where they fit
//   mih16   16 chunks of 16 bits; per chunk a table of buckets: offsets, the *next* chunk's 16 bits of every member
//           inline, and the members' rows. Bytes per hash: 32 + 16*2 + 15*idw + idw (idw = 3 below 2^24 rows, else 4)
//   mih-r2  10 chunks of 23-24 bits and one of 20, for sets so large that buckets of 16 bits grow long
//
// Why it is exact (pigeonhole, generalised): give chunk i a threshold t_i with sum(t_i + 1) = radius + 1. If a hash is
// within the radius, the integers d_i - (t_i + 1) sum to -1 or less around the ring of chunks, so by the cycle lemma
// some chunk i has every partial sum below zero: d_i <= t_i, and d_i + d_(i+1) <= t_i + t_(i+1) + 1. Probing each
// chunk's ball of radius t_i and keeping members whose next chunk satisfies the second inequality loses nothing.
// (Multi-index hashing: Norouzi, Punjani, Fleet 2012; the ring condition: Qin et al., "pigeonring", 2018.)
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu.hpp"

namespace leadline {

struct Row {
    uint64_t w[4];  // permuted; bit 0 of the string is the top bit of w[0]
};

enum class Layout : uint32_t { scan = 0, mih16 = 1, mih_r2 = 2 };

constexpr size_t kScanBelow = 30'000;              // distinct hashes; below, a scan beats any table
constexpr size_t kRadius2Above = 150'000'000;      // distinct hashes; above, 16-bit buckets grow too long
constexpr size_t kMaxChunks = 16;

struct Block {  // an owned, 64-byte aligned block of memory (huge pages where the system gives them)
    uint8_t* data = nullptr;
    size_t size = 0;
    size_t mapped = 0;
};
Block allocate_block(size_t size);
void free_block(Block& block);

// Builds an index over `count` hashes of 32 bytes. `layout` < 0 chooses by the number of distinct hashes.
// Throws std::invalid_argument when count >= 2^32 - 1.
Block build_index(const uint8_t* hashes, size_t count, int threads, int layout);

struct SearchOutput {
    std::vector<int64_t> starts;      // queries + 1
    std::vector<uint32_t> positions;  // in the array the index was built from
    std::vector<uint16_t> distances;
    std::vector<uint8_t> truncated;   // per query
};

class HammingIndex {
  public:
    // Checks header, table bounds and offset tables. Throws std::invalid_argument on anything that contradicts.
    HammingIndex(const uint8_t* data, size_t size);

    // All stored hashes within `radius` of each query, by distance. Throws std::runtime_error on damaged tables.
    SearchOutput search(const uint8_t* queries, size_t query_count, int radius, const uint8_t* dead, size_t dead_bytes,
                        int64_t limit, int threads, Isa isa) const;

    size_t count() const { return count_; }
    size_t distinct() const { return distinct_; }
    size_t size() const { return size_; }
    Layout layout() const { return layout_; }
    const char* layout_name() const;

  private:
    friend struct Searcher;
    const uint8_t* data_;
    size_t size_, count_ = 0, distinct_ = 0;
    Layout layout_ = Layout::scan;
    uint32_t id_bytes_ = 4;
    bool grouped_ = false;
    const uint64_t* rows_ = nullptr;    // mih: distinct x 4; scan: 8 planes of 32-bit words
    const uint32_t* first_ = nullptr;   // distinct + 1, only when grouped
    const uint8_t* origin_ = nullptr;   // count x id_bytes
    const uint32_t* offsets_[kMaxChunks] = {};
    const uint16_t* next_[kMaxChunks] = {};
    const uint8_t* ids_[kMaxChunks] = {};
};

Row permute(const uint8_t* hash);

// Brute force in plain C++ over unpermuted bytes: the reading copy and the oracle of the tests.
SearchOutput scan_reference(const uint8_t* hashes, size_t count, const uint8_t* queries, size_t query_count, int radius);

}  // namespace leadline
