#include "repository/writer.h"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "core/check.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/queue.h"
#include "crypto/sha256.h"
#include "repository/internal/compression.h"

namespace sevenfold::repository {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr size_t kMaxIndexBlobs = 50'000;
constexpr size_t kTypes = 2;
constexpr size_t kHashTogether = 32 << 10;  // shorter pack tails wait for company

int level_of(Compression compression) {
    switch (compression) {
        case Compression::off:
        case Compression::automatic:
            return internal::kDefaultLevel;
        case Compression::fastest:
            return -3;
        case Compression::better:
            return 6;
        case Compression::max:
            return 17;
    }
    return internal::kDefaultLevel;
}

// Buffers of finished packs, used again: fresh megabytes cost page faults.
class BufferPool {
  public:
    Bytes take() {
        std::lock_guard lock(mutex_);
        if (idle_.empty()) return {};
        Bytes out = std::move(idle_.back());
        idle_.pop_back();
        return out;
    }
    void give(Bytes buffer) {
        std::lock_guard lock(mutex_);
        if (idle_.size() < 2) idle_.push_back(std::move(buffer));
    }

  private:
    std::mutex mutex_;
    std::vector<Bytes> idle_;
};

}  // namespace

struct BlobWriter::Place {
    Place(WriterPlace target, const WriterOptions& writer_options)
        : info(std::move(target)),
          options(writer_options),
          pack_target(info.pack_target != 0 ? info.pack_target : options.pack_target),
          connections(std::clamp(info.repository->backend().capabilities().connections, 1U, 8U)),
          queue(1) {}

    WriterPlace info;
    const WriterOptions& options;
    const size_t pack_target;
    const unsigned connections;
    BoundedQueue<PackBuilder::Finished> queue;  // one pack: enough that no uploader idles
    std::vector<std::thread> uploaders;
    std::atomic<State> state{State::active};
    std::atomic<uint64_t> data_blobs{0}, tree_blobs{0}, bytes_added{0}, bytes_packed{0};

    std::mutex mutex;  // guards what follows
    std::optional<Error> error;
    std::vector<IndexedPack> unindexed;
    size_t unindexed_blobs = 0;
    steady_clock::time_point last_checkpoint = steady_clock::now();
    steady_clock::time_point stalled_until{};
    steady_clock::duration stalled{};

    // Counts a worker's fruitless wait; the time of several that wait at once counts once. True
    // when the place has held the others up for longer than `patience`.
    bool note_stall(steady_clock::time_point from, steady_clock::time_point to) {
        std::lock_guard lock(mutex);
        stalled += std::max(to - std::max(from, stalled_until), steady_clock::duration::zero());
        stalled_until = std::max(stalled_until, to);
        return stalled > options.patience;
    }

    bool active() const { return state.load(std::memory_order_acquire) == State::active; }

    void fail(const Error& why) {
        {
            std::lock_guard lock(mutex);
            if (!error) error = why;
        }
        state.store(State::failed, std::memory_order_release);
        queue.abandon();
    }

    // Takes the packs that are due for an index file, or none.
    std::vector<IndexedPack> due(bool all) {
        std::lock_guard lock(mutex);
        bool now = all || unindexed_blobs >= kMaxIndexBlobs ||
                   steady_clock::now() - last_checkpoint >= options.checkpoint_every;
        if (!now || unindexed.empty()) return {};
        last_checkpoint = steady_clock::now();
        unindexed_blobs = 0;
        return std::exchange(unindexed, {});
    }

    void save_index(bool all) {
        std::vector<IndexedPack> packs = due(all);
        if (packs.empty()) return;
        if (info.lock) info.lock->check_held();
        info.repository->save_unpacked(storage::FileType::index, as_bytes(encode_index(packs)));
    }
};

struct BlobWriter::Shared {
    WriterOptions options;
    std::vector<std::unique_ptr<Place>> places;
    BufferPool buffers;

    // Blobs on their way: which places (bits) have claimed each. A claim ends when the place's
    // index lists the blob. Sharded so that workers rarely meet.
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<BlobHandle, uint32_t, BlobHandleHash> claims;
    };
    std::array<Shard, 64> shards;
    Shard& shard(const BlobHandle& blob) { return shards[blob.id.bytes[31] % shards.size()]; }

    std::mutex lagging_mutex;            // held while a place is set aside
    std::atomic<bool> finishing{false};  // from here on no place holds another up

    std::mutex workers_mutex;
    std::array<std::vector<std::vector<PackBuilder>>, kTypes> left_overs;  // [type][place]

    // The bits of the active places that lack the blob, now claimed by the caller.
    uint32_t claim(const BlobHandle& blob) {
        Shard& s = shard(blob);
        std::lock_guard lock(s.mutex);
        auto it = s.claims.find(blob);
        uint32_t claimed = it == s.claims.end() ? 0 : it->second, wanted = 0;
        for (size_t p = 0; p < places.size(); ++p)
            if (places[p]->active() && !(claimed >> p & 1) &&
                !places[p]->info.repository->index().has(blob))
                wanted |= 1U << p;
        if (wanted != 0) s.claims[blob] = claimed | wanted;
        return wanted;
    }

    void unclaim(size_t place, const std::vector<PackedBlob>& blobs) {
        for (const PackedBlob& blob : blobs) {
            Shard& s = shard(blob.handle);
            std::lock_guard lock(s.mutex);
            auto it = s.claims.find(blob.handle);
            if (it == s.claims.end()) continue;
            it->second &= ~(1U << place);
            if (it->second == 0) s.claims.erase(it);
        }
    }

    void upload(size_t number, PackBuilder::Finished pack) {
        Place& place = *places[number];
        if (options.discard) return;
        Repository& repository = *place.info.repository;
        CHECK(!pack.blobs.empty());  // and all of one type
        storage::FileName name{.type = storage::FileType::pack,
                               .id = pack.id,
                               .holds_trees = pack.blobs[0].handle.type == BlobType::tree};
        repository.backend().store(name, pack.file);
        if (options.progress) options.progress->bytes_stored += pack.file.size();
        IndexedPack listed{pack.id, std::move(pack.blobs)};
        repository.index().add(listed);
        unclaim(number, listed.blobs);
        {
            std::lock_guard lock(place.mutex);
            place.unindexed_blobs += listed.blobs.size();
            place.unindexed.push_back(std::move(listed));
        }
        buffers.give(std::move(pack.file));
        place.save_index(false);
    }

    void run_uploader(size_t number) {
        Place& place = *places[number];
        try {
            while (auto pack = place.queue.pop()) upload(number, std::move(*pack));
        } catch (...) {
            place.fail(current_error());
        }
    }

    bool others_active(size_t number) const {
        for (size_t p = 0; p < places.size(); ++p)
            if (p != number && places[p]->active()) return true;
        return false;
    }

    // Never sets the last active place aside, also when two become late at the same moment.
    void set_aside(size_t number) {
        std::lock_guard lock(lagging_mutex);
        State expected = State::active;
        if (others_active(number) &&
            places[number]->state.compare_exchange_strong(expected, State::lagging))
            log_info("place {} is slower than the others and is set aside for now",
                     places[number]->info.name);
    }

    void submit(size_t number, PackBuilder::Finished pack) {
        Place& place = *places[number];
        while (place.active()) {
            auto before = steady_clock::now();
            if (place.queue.push_for(pack, 200ms)) return;
            if (finishing || !place.active() || !others_active(number)) continue;
            if (place.note_stall(before, steady_clock::now())) set_aside(number);
        }
    }

    // The workers' last packs, merged where they fit together.
    void submit_left_over(size_t number, std::vector<PackBuilder>& builders) {
        crypto::Cipher cipher(places[number]->info.repository->master_key());
        PackBuilder* into = nullptr;
        for (PackBuilder& builder : builders) {
            if (into && into->fits(builder, places[number]->pack_target)) {
                into->absorb(builder);
                continue;
            }
            if (into) submit(number, into->finish(cipher));
            into = &builder;
        }
        if (into) submit(number, into->finish(cipher));
        builders.clear();
    }

    void finish(size_t number) {
        Place& place = *places[number];
        try {
            for (auto& left_over : left_overs)
                if (!left_over.empty()) submit_left_over(number, left_over[number]);
        } catch (...) {
            place.fail(current_error());
        }
        place.queue.close();
        for (std::thread& uploader : place.uploaders) uploader.join();
        place.uploaders.clear();
        if (place.state == State::failed) return;
        try {
            place.save_index(true);
        } catch (...) {
            place.fail(current_error());
        }
    }
};

struct BlobWriter::Worker::Impl {
    explicit Impl(Shared& s) : shared(s) {
        for (auto& place : shared.places) {
            ciphers.emplace_back(place->info.repository->master_key());
            open.push_back({PackBuilder(BlobType::data), PackBuilder(BlobType::tree)});
        }
    }

    Shared& shared;
    std::vector<crypto::Cipher> ciphers;
    std::vector<std::array<PackBuilder, kTypes>> open;  // [place][type]
    internal::Compressor compressor;
    Bytes frame;
    std::vector<crypto::Sha256*> hashes;
    std::vector<ByteView> messages;
    std::vector<PackBuilder*> hashed;

    // The blob's hash; the tails of the open packs are hashed beside it, which is nearly free.
    Id hash(ByteView plaintext) {
        crypto::Sha256 own;
        hashes.assign(1, &own);
        messages.assign(1, plaintext);
        hashed.clear();
        for (auto& builders : open)
            for (PackBuilder& builder : builders)
                if (builder.unhashed().size() >= kHashTogether) {
                    hashes.push_back(&builder.hash());
                    messages.push_back(builder.unhashed());
                    hashed.push_back(&builder);
                }
        crypto::sha256_update_many(hashes, messages);
        for (PackBuilder* builder : hashed) builder->mark_hashed();
        return own.digest();
    }

    bool try_compress(BlobType type, ByteView plaintext) {
        if (plaintext.empty()) return false;
        int level = level_of(shared.options.compression);
        // Format A.4: in version 2 trees are always compressed, whatever the user chose.
        if (type == BlobType::tree) {
            size_t bound = plaintext.size() + plaintext.size() / 8 + 1024;
            return compressor.compress(plaintext, level, bound, frame);
        }
        if (shared.options.compression == Compression::off) return false;
        if (compressor.looks_incompressible(plaintext)) return false;
        return compressor.compress(plaintext, level, plaintext.size() - plaintext.size() / 64,
                                   frame);
    }

    void store(size_t number, const BlobHandle& handle, ByteView stored, size_t plaintext_size,
               bool compressed) {
        Place& place = *shared.places[number];
        PackBuilder& builder = open[number][static_cast<size_t>(handle.type)];
        size_t before = builder.size();
        builder.add(ciphers[number], handle.id, stored,
                    compressed ? static_cast<uint32_t>(plaintext_size) : 0);
        ++(handle.type == BlobType::data ? place.data_blobs : place.tree_blobs);
        place.bytes_added += plaintext_size;
        place.bytes_packed +=
            builder.size() - before + (compressed ? kHeaderEntryCompressed : kHeaderEntryRaw);
        if (builder.full(place.pack_target)) finish(number, builder);
    }

    void finish(size_t number, PackBuilder& builder) {
        shared.submit(number, builder.finish(ciphers[number], shared.buffers.take()));
    }
};

BlobWriter::Worker::Worker(BlobWriter& writer) : impl_(std::make_unique<Impl>(*writer.shared_)) {}

BlobWriter::Worker::~Worker() {
    if (!impl_) return;
    Shared& shared = impl_->shared;
    std::lock_guard lock(shared.workers_mutex);
    for (size_t type = 0; type < kTypes; ++type) {
        shared.left_overs[type].resize(shared.places.size());
        for (size_t p = 0; p < shared.places.size(); ++p)
            if (!impl_->open[p][type].empty() && shared.places[p]->active())
                shared.left_overs[type][p].push_back(std::move(impl_->open[p][type]));
    }
}

Id BlobWriter::Worker::add(BlobType type, ByteView plaintext) {
    Impl& impl = *impl_;
    BlobHandle handle{type, impl.hash(plaintext)};
    uint32_t wanted = impl.shared.claim(handle);
    if (wanted == 0) return handle.id;
    bool tried = false, small = false;
    for (size_t p = 0; p < impl.shared.places.size(); ++p) {
        if (!(wanted >> p & 1) || !impl.shared.places[p]->active()) continue;
        bool may_compress = impl.shared.places[p]->info.repository->config().version >= 2;
        if (may_compress && !std::exchange(tried, true)) small = impl.try_compress(type, plaintext);
        bool compressed = may_compress && small;
        impl.store(p, handle, compressed ? ByteView(impl.frame) : plaintext, plaintext.size(),
                   compressed);
    }
    return handle.id;
}

BlobWriter::BlobWriter(std::vector<WriterPlace> places, const WriterOptions& options)
    : shared_(std::make_unique<Shared>()) {
    CHECK(!places.empty() && places.size() <= 32);
    shared_->options = options;
    for (WriterPlace& place : places)
        shared_->places.push_back(std::make_unique<Place>(std::move(place), shared_->options));
    for (size_t p = 0; p < shared_->places.size(); ++p)
        for (unsigned i = 0; i < shared_->places[p]->connections; ++i)
            shared_->places[p]->uploaders.emplace_back(
                [s = shared_.get(), p] { s->run_uploader(p); });
}

BlobWriter::~BlobWriter() {
    for (auto& place : shared_->places) place->queue.abandon();
    for (auto& place : shared_->places)
        for (std::thread& uploader : place->uploaders) uploader.join();
}

size_t BlobWriter::place_count() const { return shared_->places.size(); }
BlobWriter::State BlobWriter::state(size_t place) const { return shared_->places[place]->state; }

std::optional<Error> BlobWriter::failure(size_t place) const {
    std::lock_guard lock(shared_->places[place]->mutex);
    return shared_->places[place]->error;
}

WriterStats BlobWriter::stats(size_t place) const {
    const Place& p = *shared_->places[place];
    return {p.data_blobs, p.tree_blobs, p.bytes_added, p.bytes_packed};
}

bool BlobWriter::any_active() const {
    for (const auto& place : shared_->places)
        if (place->active()) return true;
    return false;
}

bool BlobWriter::has(const BlobHandle& blob) const {
    auto& s = shared_->shard(blob);
    std::lock_guard lock(s.mutex);
    auto it = s.claims.find(blob);
    uint32_t claimed = it == s.claims.end() ? 0 : it->second;
    for (size_t p = 0; p < shared_->places.size(); ++p) {
        const Place& place = *shared_->places[p];
        if (place.active() && !(claimed >> p & 1) && !place.info.repository->index().has(blob))
            return false;
    }
    return true;
}

void BlobWriter::finish(const std::function<void(size_t)>& on_place) {
    shared_->finishing = true;
    parallel_for(place_count(), static_cast<unsigned>(place_count()), [&](size_t place) {
        shared_->finish(place);
        if (on_place) on_place(place);
    });
}

}  // namespace sevenfold::repository
