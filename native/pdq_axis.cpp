// How the weights come about (pdq_axis.hpp), and the few that are kept.
#include "pdq_axis.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "pdq_serial.hpp"

namespace leadline {
namespace {

// The box filter twice, at place c: the mean of the first box's values at the places of the window around c.
void append_parts(size_t sample, size_t length, std::vector<AxisPart>& parts) {
    const Box box = box_of(length);
    const size_t c = sampled_place(sample, length), behind = box.window - box.ahead - 1;
    const auto first = [&](size_t at) { return at < behind ? 0 : at - behind; };
    const auto last = [&](size_t at) { return std::min(at + box.ahead, length - 1); };
    const size_t base = first(first(c)), span = last(last(c)) - base + 1;
    std::map<size_t, std::vector<int>> steps;  // divisor -> where a weight of 1 starts (+1) and ends (-1)
    for (size_t j = first(c); j <= last(c); j++) {
        auto& step = steps[(last(c) - first(c) + 1) * (last(j) - first(j) + 1)];
        step.resize(span + 1);
        step[first(j) - base]++, step[last(j) - base + 1]--;
    }
    for (const auto& [divisor, step] : steps) {
        AxisPart part{sample, base, span, 1.0 / static_cast<double>(divisor), std::vector<uint16_t>(span)};
        for (size_t k = 0, weight = 0; k < span; k++) {
            weight += static_cast<size_t>(step[k]);
            part.weights[k] = static_cast<uint16_t>(weight);
        }
        parts.push_back(std::move(part));
    }
}

}  // namespace

Axis::Axis(size_t length, size_t channels, bool reversed) {
    for (size_t k = 0; k < 64; k++) append_parts(k, length, parts);
    for (AxisPart& part : parts) {
        if (reversed) {
            part.first = length - part.first - part.count;
            std::reverse(part.weights.begin(), part.weights.end());
        }
        greatest = std::max<size_t>(greatest, *std::max_element(part.weights.begin(), part.weights.end()));
        size_bytes += sizeof(AxisPart) + part.count * 2;
    }
    if (channels) fold_luma(channels);
}

void Axis::fold_luma(size_t channels) {
    static const double kLuma[3] = {0.299, 0.587, 0.114};
    std::vector<std::pair<size_t, size_t>> places;  // first value, where its weights begin
    for (size_t k = 0, p = 0; k < 64; k++) {
        places.push_back({parts[p].first * channels, values.size()});
        const size_t count = parts[p].count * channels, at = values.size();
        values.resize(at + count);
        for (; p < parts.size() && parts[p].sample == k; p++)
            for (size_t v = 0; v < count; v++) {
                const double luma = channels == 3 ? kLuma[v % 3] : 1.0;
                values[at + v] += parts[p].weights[v / channels] * parts[p].scale * luma;
            }
    }
    for (size_t k = 0; k < 64; k++) {
        const size_t end = k < 63 ? places[k + 1].second : values.size();
        spans.push_back({places[k].first, end - places[k].second, values.data() + places[k].second});
    }
    parts.clear();
    size_bytes = values.size() * sizeof(double);
}

// Files of one scan mostly share a few sizes, so weights are kept; emptied when full, which costs a rebuild at most.
std::shared_ptr<const Axis> axis_of(size_t length, size_t channels, bool reversed) {
    constexpr size_t kMostBytes = 16 << 20;
    static std::mutex lock;
    static std::map<std::tuple<size_t, size_t, bool>, std::shared_ptr<const Axis>> kept;
    static size_t kept_bytes = 0;
    const auto key = std::make_tuple(length, channels, reversed);
    {
        const std::lock_guard<std::mutex> guard(lock);
        const auto found = kept.find(key);
        if (found != kept.end()) return found->second;
    }
    auto made = std::make_shared<const Axis>(length, channels, reversed);
    const std::lock_guard<std::mutex> guard(lock);
    if (kept_bytes + made->size_bytes > kMostBytes) kept.clear(), kept_bytes = 0;
    if (made->size_bytes <= kMostBytes && kept.emplace(key, made).second) kept_bytes += made->size_bytes;
    return made;
}

}  // namespace leadline
