#include "storage/fault_backend.h"

#include <fmt/format.h>

#include <algorithm>

namespace sevenfold::storage {
namespace {
Error network_fault(std::string_view what, std::string_view how) {
    return Error(ErrorKind::network, fmt::format("{}: made to fail {}", what, how));
}
}  // namespace

FaultBackend::FaultBackend(std::unique_ptr<Backend> inner, FaultOptions options)
    : ForwardingBackend(std::move(inner)), options_(options), random_(options.seed) {}

void FaultBackend::fail_nth(Operation operation, uint64_t n, Error error, bool done) {
    std::lock_guard lock(mutex_);
    planned_.push_back(
        {operation, counts_[static_cast<size_t>(operation)] + n, std::move(error), done});
}

void FaultBackend::fail_always(Operation operation, Error error) {
    std::lock_guard lock(mutex_);
    planned_.push_back({operation, 0, std::move(error), false});
}

void FaultBackend::calm() {
    std::lock_guard lock(mutex_);
    planned_.clear();
    options_ = {.seed = options_.seed};
}

uint64_t FaultBackend::count(Operation operation) const {
    std::lock_guard lock(mutex_);
    return counts_[static_cast<size_t>(operation)];
}

bool FaultBackend::chance(double probability) {
    std::lock_guard lock(mutex_);
    return probability > 0 && random_.unit() < probability;
}

FaultBackend::Fault FaultBackend::next(Operation operation, std::string_view what) {
    Fault fault;
    {
        std::lock_guard lock(mutex_);
        uint64_t number = ++counts_[static_cast<size_t>(operation)];
        for (const Planned& plan : planned_)
            if (plan.operation == operation && (plan.at == 0 || plan.at == number))
                (plan.done ? fault.after : fault.before) = plan.error;
    }
    if (operation == Operation::remove && options_.spare_remove) return fault;
    if (chance(options_.error_before)) fault.before = network_fault(what, "before");
    if (chance(options_.error_after)) fault.after = network_fault(what, "after");
    return fault;
}

template <class Call>
auto FaultBackend::run(Operation operation, std::string_view what, Call call) {
    Fault fault = next(operation, what);
    if (fault.before) throw *fault.before;
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        if (fault.after) throw *fault.after;
    } else {
        auto result = call();
        if (fault.after) throw *fault.after;
        return result;
    }
}

Capabilities FaultBackend::capabilities() const {
    Capabilities out = inner().capabilities();
    if (options_.torn_store > 0) out.atomic_replace = false;
    return out;
}

void FaultBackend::create() {
    run(Operation::create, "create", [&] { inner().create(); });
}

void FaultBackend::store(const FileName& name, ByteView body) {
    run(Operation::store, name.display(), [&] {
        if (chance(options_.torn_store)) {
            inner().store(name, body.first(body.size() / 2));
            throw network_fault(name.display(), "in the middle");
        }
        inner().store(name, body);
        std::lock_guard lock(mutex_);
        recent_.push_back(name);
        if (recent_.size() > options_.lately) recent_.pop_front();
    });
}

Bytes FaultBackend::maybe_damaged(Bytes bytes) {
    if (bytes.empty() || !chance(options_.wrong_bytes)) return bytes;
    std::lock_guard lock(mutex_);
    bytes[random_.below(bytes.size())] ^= static_cast<uint8_t>(1u << random_.below(8));
    return bytes;
}

Bytes FaultBackend::load(const FileName& name, uint64_t offset, size_t length) {
    return maybe_damaged(
        run(Operation::load, name.display(), [&] { return inner().load(name, offset, length); }));
}

Bytes FaultBackend::load_all(const FileName& name, uint64_t limit) {
    return maybe_damaged(
        run(Operation::load, name.display(), [&] { return inner().load_all(name, limit); }));
}

uint64_t FaultBackend::size(const FileName& name) {
    return run(Operation::size, name.display(), [&] { return inner().size(name); });
}

void FaultBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    auto found = run(Operation::list, folder(type), [&] { return inner().list_all(type); });
    if (chance(options_.stale_list)) {
        std::lock_guard lock(mutex_);
        std::erase_if(found, [&](const FileInfo& info) {
            return std::ranges::find(recent_, FileName{type, info.id}) != recent_.end();
        });
    }
    for (const FileInfo& info : found) each(info);
}

void FaultBackend::remove(const FileName& name) {
    run(Operation::remove, name.display(), [&] { inner().remove(name); });
}

}  // namespace sevenfold::storage
