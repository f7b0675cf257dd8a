// Building an index: permute, sort, store equal hashes once, fill the chunks' tables. See search.hpp for the layouts.
#include <sys/mman.h>

#include <atomic>
#include <new>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "search_layout.hpp"
#include "threads.hpp"

namespace leadline {
namespace {

// Fixed for ever by kVersion: a Fisher-Yates shuffle of the 256 bits drawn from splitmix64(20261123).
struct Permutation {
    alignas(64) Row table[64][16];  // per nibble of the input, the output bits it sets
    uint64_t word0[64][16];         // the same for the first word alone
    Permutation() {
        uint32_t to[256];
        std::iota(to, to + 256, 0u);
        uint64_t state = 20261123;
        for (uint32_t i = 255; i > 0; i--) std::swap(to[i], to[mix(state += 0x9e3779b97f4a7c15ull) % (i + 1)]);
        std::memset(table, 0, sizeof table);
        for (uint32_t nibble = 0; nibble < 64; nibble++)
            for (uint32_t value = 0; value < 16; value++)
                for (uint32_t bit = 0; bit < 4; bit++)
                    if (value >> (3 - bit) & 1) {
                        const uint32_t out = to[nibble * 4 + bit];
                        table[nibble][value].w[out >> 6] |= 1ull << (63 - (out & 63));
                    }
        for (uint32_t nibble = 0; nibble < 64; nibble++)
            for (uint32_t value = 0; value < 16; value++) word0[nibble][value] = table[nibble][value].w[0];
    }
};

const Permutation& permutation() {
    static const Permutation p;
    return p;
}

uint64_t permuted_word0(const uint8_t* hash) {
    const Permutation& p = permutation();
    uint64_t out = 0;
    for (size_t i = 0; i < 32; i++) out |= p.word0[2 * i][hash[i] >> 4] | p.word0[2 * i + 1][hash[i] & 15];
    return out;
}

void store_id(uint8_t* table, uint32_t id_bytes, size_t place, uint32_t id) { std::memcpy(table + place * id_bytes, &id, id_bytes); }

// Working memory in large pages, zeroed by the system only where it is touched.
template <class T>
class Workspace {
  public:
    explicit Workspace(size_t count) : block_(allocate_block(std::max<size_t>(1, count) * sizeof(T))) {}
    ~Workspace() { free_block(block_); }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    T* data() { return reinterpret_cast<T*>(block_.data); }
    Block release(size_t size) {  // its first `size` bytes, now the caller's to free
        Block out = block_;
        out.size = size;
        block_ = Block{};
        return out;
    }

  private:
    Block block_;
};

// Permuted hashes into `rows`, in order, and into `origin` the position each came from. A counting sort by the top 16
// bits, then each part by comparison. Equal hashes keep the order of their positions.
void sort_rows(const uint8_t* hashes, size_t count, int threads, Row* rows, uint32_t* origin) {
    const int t_count = usable_threads(threads, count, 100'000);
    std::vector<std::vector<uint32_t>> starts(static_cast<size_t>(t_count), std::vector<uint32_t>(65536, 0));
    auto slice = [&](int t) { return std::pair{count * static_cast<size_t>(t) / static_cast<size_t>(t_count), count * (static_cast<size_t>(t) + 1) / static_cast<size_t>(t_count)}; };
    run_threads(t_count, [&](int t) {
        const auto [from, to] = slice(t);
        auto& histogram = starts[static_cast<size_t>(t)];
        for (size_t i = from; i < to; i++) histogram[permuted_word0(hashes + i * 32) >> 48]++;
    });
    std::vector<size_t> part(65537);
    uint32_t at = 0;
    for (size_t b = 0; b < 65536; b++) {
        part[b] = at;
        for (auto& histogram : starts) {
            const uint32_t n = histogram[b];
            histogram[b] = at;
            at += n;
        }
    }
    part[65536] = at;
    run_threads(t_count, [&](int t) {
        const auto [from, to] = slice(t);
        auto& next = starts[static_cast<size_t>(t)];
        for (size_t i = from; i < to; i++) {
            const Row row = permute(hashes + i * 32);
            const uint32_t place = next[row.w[0] >> 48]++;
            rows[place] = row;
            origin[place] = static_cast<uint32_t>(i);
        }
    });
    std::atomic<size_t> next_part{0};
    run_threads(t_count, [&](int) {
        struct Key {
            uint64_t w0;
            uint32_t at;
        };
        std::vector<Key> keys;
        std::vector<Row> old_rows;
        std::vector<uint32_t> old_origin;
        for (size_t block; (block = next_part.fetch_add(64)) < 65536;)
            for (size_t b = block; b < block + 64; b++) {
                const size_t from = part[b], n = part[b + 1] - from;
                if (n < 2) continue;
                old_rows.assign(rows + from, rows + from + n);
                old_origin.assign(origin + from, origin + from + n);
                keys.resize(n);
                for (size_t i = 0; i < n; i++) keys[i] = Key{old_rows[i].w[0], static_cast<uint32_t>(i)};
                std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b2) {
                    if (a.w0 != b2.w0) return a.w0 < b2.w0;
                    const int order = std::memcmp(old_rows[a.at].w + 1, old_rows[b2.at].w + 1, 24);
                    return order != 0 ? order < 0 : a.at < b2.at;
                });
                for (size_t i = 0; i < n; i++) {
                    rows[from + i] = old_rows[keys[i].at];
                    origin[from + i] = old_origin[keys[i].at];
                }
            }
    });
}

// Stores equal neighbours once; first[u] is where distinct row u begins in `origin`. Empty when all are distinct.
std::vector<uint32_t> group_equal(Row* rows, size_t count, size_t& distinct) {
    distinct = count ? 1 : 0;
    for (size_t i = 1; i < count; i++) distinct += !same(rows[i], rows[i - 1]);
    std::vector<uint32_t> first;
    if (distinct == count) return first;
    first.reserve(distinct + 1);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !same(rows[i], rows[first.size() - 1])) {
            rows[first.size()] = rows[i];
            first.push_back(static_cast<uint32_t>(i));
        }
    first.push_back(static_cast<uint32_t>(count));
    return first;
}

// One chunk's table: rows ordered by (chunk value, row), the next 16 bits beside. Two passes of a radix sort.
void fill_chunk(const Row* rows, size_t distinct, uint32_t offset, uint32_t bits, uint32_t* offsets, uint16_t* next, uint8_t* ids,
                uint32_t id_bytes, uint64_t* scratch) {
    const size_t buckets = size_t{1} << bits;
    const uint32_t following = (offset + bits) & 255;
    if (!ids) {  // chunk 0: rows are in its order already
        for (size_t i = 0; i < distinct; i++) {
            offsets[ring_bits(rows[i].w, offset, bits) + 1]++;
            next[i] = static_cast<uint16_t>(ring_bits(rows[i].w, following, 16));
        }
        for (size_t b = 0; b < buckets; b++) offsets[b + 1] += offsets[b];
        return;
    }
    const uint32_t low_bits = bits - 8;
    size_t part[257] = {};
    for (size_t i = 0; i < distinct; i++) part[ring_bits(rows[i].w, offset, 8) + 1]++;
    for (size_t p = 0; p < 256; p++) part[p + 1] += part[p];
    size_t cursor[256];
    std::copy(part, part + 256, cursor);
    std::vector<uint32_t> at;
    for (size_t i = 0; i < distinct; i++)
        scratch[cursor[ring_bits(rows[i].w, offset, 8)]++] =
            uint64_t{ring_bits(rows[i].w, following, 16)} << 48 | uint64_t{ring_bits(rows[i].w, offset + 8, low_bits)} << 32 | i;
    for (size_t p = 0; p < 256; p++) {
        const size_t base = p << low_bits, span = size_t{1} << low_bits;
        uint32_t* local = offsets + base;  // local[b + 1] counts, then starts
        for (size_t i = part[p]; i < part[p + 1]; i++) local[(scratch[i] >> 32 & 0xffff) + 1]++;
        for (size_t b = 0; b < span; b++) local[b + 1] += local[b];
        // local[b] is the start of bucket b; filled through a cursor that ends where the bucket ends.
        at.assign(local, local + span);
        for (size_t i = part[p]; i < part[p + 1]; i++) {
            const uint64_t item = scratch[i];
            const uint32_t place = at[item >> 32 & 0xffff]++;
            next[place] = static_cast<uint16_t>(item >> 48);
            store_id(ids, id_bytes, place, static_cast<uint32_t>(item));
        }
    }
}

}  // namespace

Row permute(const uint8_t* hash) {
    const Permutation& p = permutation();
    Row out{};
    for (size_t i = 0; i < 32; i++) {
        const Row& high = p.table[2 * i][hash[i] >> 4];
        const Row& low = p.table[2 * i + 1][hash[i] & 15];
        for (size_t k = 0; k < 4; k++) out.w[k] |= high.w[k] | low.w[k];
    }
    return out;
}

Block allocate_block(size_t size) {
    constexpr size_t kHuge = size_t{2} << 20;
    Block b;
    b.size = size;
    b.mapped = (size + kHuge - 1) / kHuge * kHuge;
    void* p = mmap(nullptr, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    madvise(p, b.mapped, MADV_HUGEPAGE);
#endif
    b.data = static_cast<uint8_t*>(p);
    return b;
}

void free_block(Block& block) {
    if (block.data) munmap(block.data, block.mapped);
    block = Block{};
}

Block build_index(const uint8_t* hashes, size_t count, int threads, int wanted_layout) {
    if (count >= UINT32_MAX) throw std::invalid_argument("too many hashes for one index: split it");
    auto choose = [&](size_t distinct) {
        return wanted_layout >= 0             ? static_cast<Layout>(wanted_layout)
               : distinct < kScanBelow        ? Layout::scan
               : distinct <= kRadius2Above    ? Layout::mih16
                                              : Layout::mih_r2;
    };
    // Rows are sorted where they will stay: their table comes first whatever the layout. Room for the largest outcome
    // is reserved; memory is taken only where it is touched.
    size_t most = 0;
    for (const size_t distinct : {count, std::min(count, kRadius2Above)})
        most = std::max(most, plan(choose(distinct), count, distinct, true).total);
    Workspace<uint8_t> out(std::max(most, aligned(sizeof(Header)) + count * sizeof(Row) + kPadding));
    auto* rows = reinterpret_cast<Row*>(out.data() + aligned(sizeof(Header)));
    Workspace<uint32_t> origin(count);
    sort_rows(hashes, count, threads, rows, origin.data());
    size_t distinct = 0;
    const std::vector<uint32_t> first = group_equal(rows, count, distinct);
    const Layout layout = choose(distinct);
    const Header h = plan(layout, count, distinct, !first.empty());
    std::memcpy(out.data(), &h, sizeof h);
    if (layout == Layout::scan) {
        const std::vector<Row> sorted(rows, rows + distinct);
        std::memset(static_cast<void*>(rows), 0, count * sizeof(Row));
        auto* planes = reinterpret_cast<uint32_t*>(rows);
        const size_t stride = plane_stride(distinct);
        for (size_t i = 0; i < distinct; i++)
            for (size_t k = 0; k < 8; k++) planes[k * stride + i] = static_cast<uint32_t>(sorted[i].w[k >> 1] >> (k & 1 ? 0 : 32));
    } else {
        std::memset(static_cast<void*>(rows + distinct), 0, (count - distinct) * sizeof(Row));
    }
    if (!first.empty()) std::memcpy(out.data() + h.first.offset, first.data(), first.size() * 4);
    for (size_t i = 0; i < count; i++) store_id(out.data() + h.origin.offset, h.id_bytes, i, origin.data()[i]);
    const Chunks c = chunks_of(layout);
    std::atomic<size_t> next_chunk{0};
    run_threads(usable_threads(threads, distinct * (c.count > 0), 10'000), [&](int) {
        Workspace<uint64_t> scratch(distinct);
        for (size_t i; (i = next_chunk.fetch_add(1)) < c.count;)
            fill_chunk(rows, distinct, c.offset[i], c.bits[i], reinterpret_cast<uint32_t*>(out.data() + h.offsets[i].offset),
                       reinterpret_cast<uint16_t*>(out.data() + h.next[i].offset), i ? out.data() + h.ids[i].offset : nullptr,
                       h.id_bytes, scratch.data());
    });
    return out.release(h.total);
}

}  // namespace leadline
