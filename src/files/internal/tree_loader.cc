#include "files/internal/tree_loader.h"

namespace sevenfold::files::internal {

TreeLoader::TreeLoader(const repository::Repository& repository, unsigned threads)
    : repository_(repository) {
    for (unsigned i = 0; i < threads; ++i)
        threads_.start([this](std::stop_token stop) { run(stop); });
}

TreeLoader::~TreeLoader() {
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
    }
    changed_.notify_all();
    threads_.request_stop();
    threads_.wait();
}

void TreeLoader::load(Slot& slot, const Id& id) {
    try {
        slot.nodes = repository_.load_tree(id);
    } catch (...) {
        slot.error = current_error();
    }
}

void TreeLoader::run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
        if (closed_ || stop.stop_requested()) return;
        Id id = queue_.front();
        queue_.pop_front();
        auto it = slots_.find(id);
        if (it == slots_.end() || it->second->started) continue;
        std::shared_ptr<Slot> slot = it->second;
        slot->started = true;
        lock.unlock();
        load(*slot, id);
        lock.lock();
        slot->done = true;
        changed_.notify_all();
    }
}

void TreeLoader::prefetch(const Id& id) {
    std::lock_guard lock(mutex_);
    if (!slots_.try_emplace(id, std::make_shared<Slot>()).second) return;
    queue_.push_back(id);
    changed_.notify_one();
}

std::vector<repository::Node> TreeLoader::take(const Id& id) {
    std::shared_ptr<Slot> slot;
    {
        std::unique_lock lock(mutex_);
        if (auto it = slots_.find(id); it != slots_.end()) {
            slot = it->second;
            if (slot->started) changed_.wait(lock, [&] { return slot->done; });
            slots_.erase(id);
        }
    }
    if (!slot) slot = std::make_shared<Slot>();
    if (!slot->done) load(*slot, id);
    if (slot->error) throw *slot->error;
    return std::move(slot->nodes);
}

}  // namespace sevenfold::files::internal
