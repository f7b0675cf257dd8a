// Opening and searching an index. See search.hpp for the layouts and why the search is exact.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "search_kernels.hpp"
#include "search_layout.hpp"
#include "threads.hpp"

namespace leadline {

// ---------------------------------------------------------------- opening

HammingIndex::HammingIndex(const uint8_t* data, size_t size) : data_(data), size_(size) {
    auto refuse = [](const char* why) { throw std::invalid_argument(why); };
    if (reinterpret_cast<uintptr_t>(data) % kAlign) refuse("buffer is not aligned to 64 bytes");
    if (size < sizeof(Header)) refuse("shorter than its header");
    Header h;
    std::memcpy(&h, data, sizeof h);
    if (h.magic != kMagic) refuse("not a Leadline search index");
    if (h.version != kVersion) refuse("written by another version");
    if (h.checksum != checksum_of(h)) refuse("header checksum differs");
    if (h.layout > 2 || h.count >= UINT32_MAX || h.distinct > h.count || (h.count && !h.distinct)) refuse("impossible counts");
    // Everything else follows from these four numbers: the header must be the one that they give.
    const Header expected = plan(static_cast<Layout>(h.layout), h.count, h.distinct, h.grouped != 0);
    if (std::memcmp(&h, &expected, sizeof h) != 0) refuse("tables are not where they belong");
    if (h.total > size) refuse("truncated");
    if (!h.grouped && h.distinct != h.count) refuse("groups are missing");
    count_ = h.count;
    distinct_ = h.distinct;
    layout_ = static_cast<Layout>(h.layout);
    id_bytes_ = h.id_bytes;
    grouped_ = h.grouped != 0;
    rows_ = reinterpret_cast<const uint64_t*>(data + h.rows.offset);
    first_ = grouped_ ? reinterpret_cast<const uint32_t*>(data + h.first.offset) : nullptr;
    origin_ = data + h.origin.offset;
    const Chunks c = chunks_of(layout_);
    for (size_t i = 0; i < c.count; i++) {
        offsets_[i] = reinterpret_cast<const uint32_t*>(data + h.offsets[i].offset);
        next_[i] = reinterpret_cast<const uint16_t*>(data + h.next[i].offset);
        ids_[i] = i ? data + h.ids[i].offset : nullptr;
        const size_t buckets = size_t{1} << c.bits[i];
        bool rising = offsets_[i][0] == 0 && offsets_[i][buckets] == distinct_;
        for (size_t b = 0; b < buckets; b++) rising &= offsets_[i][b] <= offsets_[i][b + 1];
        if (!rising) refuse("an offset table is damaged");
    }
}

const char* HammingIndex::layout_name() const {
    return layout_ == Layout::scan ? "scan" : layout_ == Layout::mih16 ? "mih16" : "mih-r2";
}

// ---------------------------------------------------------------- searching

namespace {

const Kernels& kernels_for(Isa isa) {
#if defined(LEADLINE_X86)
    if (isa == Isa::avx512) return kSearchAvx512;
    if (isa == Isa::avx2) return kSearchAvx2;
#endif
    (void)isa;
    return kSearchSerial;
}

constexpr size_t kSweepQueries = 16384;  // queries of one block: their numbers fit 16 bits, their state fits L2
constexpr size_t kSweepLeast = 900;      // below, one query after the other is cheaper than visiting every bucket
constexpr size_t kScanTile = 1024;       // rows compared with many queries while they are in L1

// Rough costs in nanoseconds, measured on two x86-64 servers; they choose the cheaper path, never the answer.
constexpr double kProbeNs = 12, kCandidateNs = 0.25, kScanRowNs = 0.9;

// Calls visit(mask, ones) for every mask of `bits` bits with exactly `ones` ones (Gosper's walk).
template <class Visit>
void for_each_mask(uint32_t bits, int ones, Visit visit) {
    if (ones == 0) return visit(0u, 0);
    for (uint32_t mask = (1u << ones) - 1; mask < (1u << bits);) {
        visit(mask, ones);
        const uint32_t low = mask & (0u - mask), carry = mask + low;
        mask = ((carry ^ mask) >> 2) / low | carry;
    }
}

// Every mask of `bits` (<= 24) bits with up to `most` ones, fewest first. Up to two ones come from a table.
template <class Visit>
void for_each_in_ball(uint32_t bits, int most, Visit visit) {
    static const auto small = [] {
        std::array<std::array<std::vector<uint32_t>, 3>, 25> masks;
        for (uint32_t b = 1; b < 25; b++)
            for (int ones = 0; ones < 3; ones++) for_each_mask(b, ones, [&](uint32_t m, int) { masks[b][static_cast<size_t>(ones)].push_back(m); });
        return masks;
    }();
    for (int ones = 0; ones <= std::min(most, 2); ones++)
        for (const uint32_t mask : small[bits][static_cast<size_t>(ones)]) visit(mask, ones);
    for (int ones = 3; ones <= most; ones++) for_each_mask(bits, ones, visit);
}

// How the radius is shared out among the chunks, and what probing them costs on average.
struct Thresholds {
    int of[kMaxChunks];
    double probes = 0;

    Thresholds(const Chunks& chunks, size_t distinct, unsigned radius) {
        std::fill(of, of + kMaxChunks, -1);
        if (chunks.count == 0) return;
        double ball[kMaxChunks];  // buckets that the chunk's next step adds
        std::fill(ball, ball + kMaxChunks, 1.0);
        for (unsigned step = 0; step <= radius; step++) {  // sum(t_i + 1) = radius + 1, each step where it is cheapest
            size_t best = 0;
            double best_cost = 0;
            for (size_t i = 0; i < chunks.count; i++) {
                const double bucket = static_cast<double>(distinct) / static_cast<double>(1u << chunks.bits[i]);
                const double cost = ball[i] * (kProbeNs + bucket * kCandidateNs);
                if (i == 0 || cost < best_cost) best = i, best_cost = cost;
            }
            probes += ball[best];
            of[best]++;
            ball[best] *= static_cast<double>(chunks.bits[best] - static_cast<uint32_t>(of[best])) / (of[best] + 1);
        }
    }
};

}  // namespace

// Buffers that a thread keeps from one search to the next.
struct Scratch {
    std::vector<Hit> hits, page;
    std::vector<uint64_t> survivors = std::vector<uint64_t>(1 << 14);
    std::vector<Probe> probes;
    std::vector<uint32_t> item_starts, packed;
    std::vector<uint16_t> items, visited = std::vector<uint16_t>(65536 + 1);
    std::vector<int64_t> budgets;
};

// Answers blocks of distinct queries with one thread.
struct Searcher {
    const HammingIndex& ix;
    const Kernels& k;
    const unsigned radius;
    const Chunks chunks;
    const Thresholds thresholds;
    const uint64_t* block = nullptr;  // the queries that are being answered
    Scratch& s;
    SurvivorBuffer buffer{};

    Searcher(const HammingIndex& index, const Kernels& kernels, unsigned r, Scratch& scratch)
        : ix(index), k(kernels), radius(r), chunks(chunks_of(index.layout_)), thresholds(chunks, index.distinct_, r), s(scratch) {
        buffer = SurvivorBuffer{s.survivors.data(), 0, s.survivors.size(), [](void* self) { static_cast<Searcher*>(self)->flush(); }, this};
    }

    void flush() {
        if (s.page.size() < buffer.used) s.page.resize(buffer.used);
        const size_t n = k.verify(buffer.data, buffer.used, ix.ids_, ix.id_bytes_, ix.rows_, ix.distinct_, block, radius, s.page.data());
        if (n == SIZE_MAX) throw std::runtime_error("a bucket names a row that does not exist");
        s.hits.insert(s.hits.end(), s.page.begin(), s.page.begin() + static_cast<ptrdiff_t>(n));
        buffer.used = 0;
    }

    // More survivors than this cost more than comparing with every row: hot buckets end here, never in quadratic work.
    int64_t survivor_budget() const { return std::max<int64_t>(4096, static_cast<int64_t>(ix.distinct_ / 16)); }

    double scan_ns() const { return static_cast<double>(ix.distinct_) * kScanRowNs; }

    void answer_block(const uint64_t* queries, size_t count) {
        block = queries;
        s.hits.clear();
        std::vector<uint32_t> left;  // queries that a scan answers more cheaply
        if (chunks.count == 0 || thresholds.probes * kProbeNs > scan_ns()) {
            left.resize(count);
            std::iota(left.begin(), left.end(), 0u);
        } else if (count >= kSweepLeast && ix.layout_ == Layout::mih16 && thresholds.of[0] <= 1) {
            left = sweep_tables(count);
        } else {
            prefetch_offsets(0);
            for (uint32_t q = 0; q < count; q++)
                if (!probe_tables(q, q + 1 < count)) left.push_back(q);
        }
        scan(left);
        std::sort(s.hits.begin(), s.hits.end(), [](const Hit& a, const Hit& b) {
            return a.query != b.query ? a.query < b.query : a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
        });
        s.hits.erase(std::unique(s.hits.begin(), s.hits.end(), [](const Hit& a, const Hit& b) { return a.query == b.query && a.row == b.row; }),
                   s.hits.end());
    }

    // ---- every row against the queries named
    void scan(const std::vector<uint32_t>& numbers) {
        const bool by_planes = ix.layout_ == Layout::scan;
        const auto* planes = reinterpret_cast<const uint32_t*>(ix.rows_);
        const size_t rows = by_planes ? plane_stride(ix.distinct_) : ix.distinct_;
        if (s.page.size() < kScanTile) s.page.resize(kScanTile);
        for (size_t from = 0; from < rows && !numbers.empty(); from += kScanTile) {
            const size_t n = std::min(kScanTile, rows - from);
            for (const uint32_t q : numbers) {
                const uint64_t* query = block + size_t{q} * 4;
                const size_t found = by_planes ? k.scan_planes(planes, rows, from, n, query, radius, q, s.page.data())
                                               : k.scan_rows(ix.rows_, from, n, query, radius, q, s.page.data());
                for (size_t i = 0; i < found; i++)
                    if (s.page[i].row < ix.distinct_) s.hits.push_back(s.page[i]);  // planes end in zero rows
            }
        }
    }

    int next_limit(size_t chunk) const { return thresholds.of[chunk] + thresholds.of[(chunk + 1) % chunks.count] + 1; }

    uint32_t value(const uint64_t* query, size_t chunk) const { return ring_bits(query, chunks.offset[chunk], chunks.bits[chunk]); }

    uint16_t next_value(const uint64_t* query, size_t chunk) const {
        return static_cast<uint16_t>(ring_bits(query, (chunks.offset[chunk] + chunks.bits[chunk]) & 255, 16));
    }

    void prefetch_offsets(uint32_t q) const {
        const uint64_t* query = block + size_t{q} * 4;
        for (size_t i = 0; i < chunks.count; i++)
            for_each_in_ball(chunks.bits[i], thresholds.of[i],
                             [&, own = value(query, i)](uint32_t mask, int) { LEADLINE_FETCH_AHEAD(ix.offsets_[i] + (own ^ mask)); });
    }

    // ---- one query through the tables, the next one's offsets fetched meanwhile; false where the scan is cheaper
    bool probe_tables(uint32_t q, bool another) {
        const uint64_t* query = block + size_t{q} * 4;
        uint16_t query_next[kMaxChunks] = {};
        s.probes.clear();
        double candidates = 0;
        for (size_t i = 0; i < chunks.count; i++) {
            query_next[i] = next_value(query, i);
            for_each_in_ball(chunks.bits[i], thresholds.of[i], [&, own = value(query, i), limit = next_limit(i)](uint32_t mask, int ones) {
                const uint32_t begin = ix.offsets_[i][own ^ mask], end = ix.offsets_[i][(own ^ mask) + 1];
                if (begin == end) return;
                candidates += end - begin;
                s.probes.push_back(Probe{begin, end, static_cast<uint16_t>(i), static_cast<int16_t>(limit - ones)});
            });
        }
        if (candidates * kCandidateNs + static_cast<double>(s.probes.size()) * kProbeNs > scan_ns()) return false;
        if (another) prefetch_offsets(q + 1);
        int64_t budget = survivor_budget();
        k.stream(q, s.probes.data(), s.probes.size(), ix.next_, query_next, budget, buffer);
        flush();
        return budget >= 0;
    }

    // ---- many queries: each chunk's table is walked once, bucket after bucket, with the queries sorted by bucket.
    // Memory is then read in order instead of at random, which is what bounds the one-by-one path.
    std::vector<uint32_t> sweep_tables(size_t count) {
        s.budgets.assign(count, survivor_budget());
        s.packed.resize(count);
        s.item_starts.resize(65538);
        for (uint32_t i = 0; i < chunks.count; i++) {
            if (thresholds.of[i] < 0) continue;
            for (size_t q = 0; q < count; q++)
                s.packed[q] = value(block + q * 4, i) | static_cast<uint32_t>(next_value(block + q * 4, i)) << 16;
            sort_items(count, thresholds.of[i]);
            k.sweep(SweepArgs{ix.offsets_[i], ix.next_[i], s.item_starts.data(), s.items.data(), s.packed.data(), s.budgets.data(), s.visited.data(), i, next_limit(i)},
                    buffer);
        }
        flush();
        std::vector<uint32_t> left;
        for (uint32_t q = 0; q < count; q++)
            if (s.budgets[q] < 0) left.push_back(q);
        return left;
    }

    // Counting sort of (query, bucket of its ball) by bucket.
    void sort_items(size_t count, int threshold) {
        std::fill(s.item_starts.begin(), s.item_starts.end(), 0u);
        uint32_t* starts = s.item_starts.data() + 1;  // shifted by one: filling moves each start to its end
        for (size_t q = 0; q < count; q++) {
            const uint32_t own = s.packed[q] & 0xffff;
            starts[own + 1]++;
            for (uint32_t bit = 0; bit < 16 && threshold == 1; bit++) starts[(own ^ 1u << bit) + 1]++;
        }
        uint32_t sum = 0;
        for (size_t b = 0; b <= 65536; b++) starts[b] = sum += starts[b];
        s.items.resize(sum);
        for (size_t q = 0; q < count; q++) {
            const uint32_t own = s.packed[q] & 0xffff;
            s.items[starts[own]++] = static_cast<uint16_t>(q);
            for (uint32_t bit = 0; bit < 16 && threshold == 1; bit++) s.items[starts[own ^ 1u << bit]++] = static_cast<uint16_t>(q);
        }
    }
};

namespace {

// Positions of the rows that were hit, nearest first; `dead` ones left out, at most `limit` of them.
class Expander {
  public:
    Expander(const uint32_t* first, const uint8_t* origin, uint32_t id_bytes, size_t count, const uint8_t* dead, size_t dead_bytes, int64_t limit)
        : first_(first), origin_(origin), id_bytes_(id_bytes), count_(count), dead_(dead), dead_bits_(dead_bytes * 8), limit_(limit) {}

    // Returns true where the limit cut the list.
    bool expand(const Hit* begin, const Hit* end, std::vector<uint32_t>& positions, std::vector<uint16_t>& distances) {
        found_.clear();
        bool cut = false;
        for (const Hit* hit = begin; hit < end && !cut; hit++) {
            const size_t from = first_ ? first_[hit->row] : hit->row, to = first_ ? first_[hit->row + 1] : hit->row + 1;
            if (from > to || to > count_) throw std::runtime_error("a group reaches outside its table");
            for (size_t place = from; place < to && !cut; place++) {
                uint32_t position = 0;
                std::memcpy(&position, origin_ + place * id_bytes_, id_bytes_);
                if (position >= count_) throw std::runtime_error("a row names a position that does not exist");
                if (position < dead_bits_ && (dead_[position >> 3] >> (position & 7) & 1)) continue;
                cut = limit_ > 0 && found_.size() == static_cast<size_t>(limit_);
                if (!cut) found_.emplace_back(static_cast<uint16_t>(hit->distance), position);
            }
        }
        std::sort(found_.begin(), found_.end());
        for (const auto& [distance, position] : found_) {
            distances.push_back(distance);
            positions.push_back(position);
        }
        return cut;
    }

  private:
    const uint32_t* first_;
    const uint8_t* origin_;
    const uint32_t id_bytes_;
    const size_t count_;
    const uint8_t* dead_;
    const size_t dead_bits_;
    const int64_t limit_;
    std::vector<std::pair<uint16_t, uint32_t>> found_;
};

struct Part {  // what one thread answered
    std::vector<size_t> starts{0};
    std::vector<uint32_t> positions;
    std::vector<uint16_t> distances;
    std::vector<uint8_t> truncated;
};

}  // namespace

SearchOutput HammingIndex::search(const uint8_t* raw, size_t query_count, int radius, const uint8_t* dead, size_t dead_bytes,
                                  int64_t limit, int threads, Isa isa) const {
    const unsigned r = static_cast<unsigned>(std::clamp(radius, 0, 256));
    const Kernels& kernels = kernels_for(isa);
    std::vector<Row> permuted(query_count);
    for (size_t q = 0; q < query_count; q++) permuted[q] = permute(raw + q * 32);
    // Equal queries are answered once: a disk may hold the same picture a million times.
    std::vector<uint32_t> order(query_count), answer_of(query_count);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        return permuted[a].w[0] != permuted[b].w[0] ? permuted[a].w[0] < permuted[b].w[0]
                                                    : std::memcmp(permuted[a].w + 1, permuted[b].w + 1, 24) < 0;
    });
    std::vector<Row> distinct;
    distinct.reserve(query_count);
    for (const uint32_t q : order) {
        if (distinct.empty() || !same(distinct.back(), permuted[q])) distinct.push_back(permuted[q]);
        answer_of[q] = static_cast<uint32_t>(distinct.size() - 1);
    }
    const int t_count = usable_threads(threads, distinct.size(), 64);
    std::vector<Part> parts(static_cast<size_t>(t_count));
    std::vector<size_t> part_from(static_cast<size_t>(t_count) + 1);
    for (int t = 0; t <= t_count; t++) part_from[static_cast<size_t>(t)] = distinct.size() * static_cast<size_t>(t) / static_cast<size_t>(t_count);
    run_threads(t_count, [&](int t) {
        static thread_local Scratch scratch;
        Searcher searcher(*this, kernels, r, scratch);
        Expander expander(first_, origin_, id_bytes_, count_, dead, dead_bytes, limit);
        Part& part = parts[static_cast<size_t>(t)];
        const size_t end = part_from[static_cast<size_t>(t) + 1];
        for (size_t from = part_from[static_cast<size_t>(t)]; from < end; from += kSweepQueries) {
            const size_t n = std::min(kSweepQueries, end - from);
            searcher.answer_block(distinct[from].w, n);
            const Hit *hit = scratch.hits.data(), *last = hit + scratch.hits.size();
            for (uint32_t q = 0; q < n; q++) {
                const Hit* begin = hit;
                while (hit < last && hit->query == q) hit++;
                part.truncated.push_back(expander.expand(begin, hit, part.positions, part.distances));
                part.starts.push_back(part.positions.size());
            }
        }
    });
    SearchOutput out;
    out.starts.reserve(query_count + 1);
    out.starts.push_back(0);
    out.truncated.reserve(query_count);
    for (size_t q = 0; q < query_count; q++) {
        const size_t answer = answer_of[q];
        const size_t t = static_cast<size_t>(std::upper_bound(part_from.begin(), part_from.end() - 1, answer) - part_from.begin()) - 1;
        const Part& part = parts[t];
        const size_t from = part.starts[answer - part_from[t]], to = part.starts[answer - part_from[t] + 1];
        out.positions.insert(out.positions.end(), part.positions.begin() + static_cast<ptrdiff_t>(from), part.positions.begin() + static_cast<ptrdiff_t>(to));
        out.distances.insert(out.distances.end(), part.distances.begin() + static_cast<ptrdiff_t>(from), part.distances.begin() + static_cast<ptrdiff_t>(to));
        out.truncated.push_back(part.truncated[answer - part_from[t]]);
        out.starts.push_back(static_cast<int64_t>(out.positions.size()));
    }
    return out;
}

}  // namespace leadline
