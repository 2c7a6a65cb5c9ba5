#include "storage/recording_backend.h"

#include "core/check.h"

namespace sevenfold::storage {
namespace {

using Files = MemoryBackend::Files;

std::pair<FileType, Id> key_of(const FileName& name) {
    return {name.type, name.type == FileType::config ? Id{} : name.id};
}

// LocalBackend's and SftpBackend's promise.
bool removal_is_durable(FileType type) { return type != FileType::pack && type != FileType::lock; }

void apply(Files& files, const RecordedChange& change, Record::Outcome outcome) {
    if (outcome == Record::Outcome::lost) return;
    if (change.kind == RecordedChange::Kind::remove) {
        files.erase(key_of(change.name));
    } else {
        Bytes body = *change.body;
        if (outcome == Record::Outcome::torn) body.resize(body.size() / 2);
        files[key_of(change.name)] = std::move(body);
    }
}

}  // namespace

Files Record::after_crash(size_t events_seen, const Decide& decide) const {
    CHECK(events_seen <= events.size());
    using Kind = Event::Kind;
    std::vector<Kind> fate(changes.size(), Kind::begin);
    for (size_t i = 0; i < events_seen; ++i) fate[events[i].change] = events[i].kind;
    Files files = before;
    for (size_t i = 0; i < events_seen; ++i) {
        const Event& event = events[i];
        const RecordedChange& change = changes[event.change];
        // A change counts from its end, or from its beginning when the crash came first.
        bool last = event.kind != Kind::begin || fate[event.change] == Kind::begin;
        if (!last) continue;
        bool certain = event.kind == Kind::done && (change.kind == RecordedChange::Kind::store ||
                                                    removal_is_durable(change.name.type));
        apply(files, change, certain ? Outcome::kept : decide(change));
    }
    return files;
}

RecordingBackend::RecordingBackend(std::unique_ptr<Backend> inner)
    : ForwardingBackend(std::move(inner)) {
    for (FileType type : kListedTypes)
        for (const FileInfo& info : this->inner().list_all(type))
            record_.before[{type, info.id}] = this->inner().load_all({type, info.id});
    if (this->inner().exists({FileType::config}))
        record_.before[{FileType::config, Id{}}] = this->inner().load_all({FileType::config});
}

template <class Call>
void RecordingBackend::run(RecordedChange change, Call call) {
    using Kind = Record::Event::Kind;
    size_t index;
    {
        std::lock_guard lock(mutex_);
        index = record_.changes.size();
        record_.changes.push_back(std::move(change));
        record_.events.push_back({Kind::begin, index});
    }
    Kind end = Kind::failed;
    auto note = [&] {
        std::lock_guard lock(mutex_);
        record_.events.push_back({end, index});
    };
    try {
        call();
    } catch (...) {
        note();
        throw;
    }
    end = Kind::done;
    note();
}

void RecordingBackend::store(const FileName& name, ByteView body) {
    run({RecordedChange::Kind::store, name, std::make_shared<const Bytes>(to_bytes(body))},
        [&] { inner().store(name, body); });
}

void RecordingBackend::remove(const FileName& name) {
    run({RecordedChange::Kind::remove, name, nullptr}, [&] { inner().remove(name); });
}

Record RecordingBackend::record() const {
    std::lock_guard lock(mutex_);
    return record_;
}

size_t RecordingBackend::event_count() const {
    std::lock_guard lock(mutex_);
    return record_.events.size();
}

}  // namespace sevenfold::storage
