// Records every change of a repository, and makes the states that a crash could leave of it.
//
// The record is a sequence of events: an operation begins, and it ends (returns or throws). A crash
// lies between two events. After it
//   - a store that returned is there; one that had begun or has thrown is there, or not, or (where
//     replacing is not atomic) in part;
//   - a remove that returned is done, except that the removal of a pack or lock need not be durable
//     and may be undone; one that had begun or has thrown is done or not.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/forwarding_backend.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::storage {

struct RecordedChange {
    enum class Kind { store, remove };
    Kind kind;
    FileName name;
    // Shared between copies of a record, which may hold gigabytes.
    std::shared_ptr<const Bytes> body;
};

struct Record {
    struct Event {
        enum class Kind { begin, done, failed };
        Kind kind;
        size_t change;  // index into changes
    };
    std::vector<RecordedChange> changes;
    std::vector<Event> events;
    MemoryBackend::Files before;  // what was there when recording began

    // What a crash does to a change that it may undo.
    enum class Outcome { lost, kept, torn };
    using Decide = std::function<Outcome(const RecordedChange&)>;
    // The files after a crash that comes right after the first `events_seen` events. `decide` is
    // asked for each change whose fate is open.
    MemoryBackend::Files after_crash(size_t events_seen, const Decide& decide) const;
};

class RecordingBackend : public ForwardingBackend {
  public:
    // Begins with the files that are there.
    explicit RecordingBackend(std::unique_ptr<Backend> inner);

    void store(const FileName& name, ByteView body) override;
    void remove(const FileName& name) override;

    Record record() const;
    size_t event_count() const;

  private:
    template <class Call>
    void run(RecordedChange change, Call call);

    mutable std::mutex mutex_;
    Record record_;
};

}  // namespace sevenfold::storage
