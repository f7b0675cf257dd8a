// Work shared out among a few threads; what one of them throws is thrown to the caller.
#pragma once
#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace leadline {

inline void run_threads(int threads, const std::function<void(int)>& work) {
    std::vector<std::thread> pool;
    std::vector<std::exception_ptr> errors(static_cast<size_t>(threads));
    auto guarded = [&](int t) {
        try {
            work(t);
        } catch (...) {
            errors[static_cast<size_t>(t)] = std::current_exception();
        }
    };
    for (int t = 1; t < threads; t++) pool.emplace_back(guarded, t);
    guarded(0);
    for (auto& thread : pool) thread.join();
    for (auto& error : errors)
        if (error) std::rethrow_exception(error);
}

inline int usable_threads(int threads, size_t items, size_t per_thread) {
    const size_t wanted = std::max<size_t>(1, items / per_thread);
    return static_cast<int>(std::min<size_t>(static_cast<size_t>(std::max(1, threads)), wanted));
}

}  // namespace leadline
