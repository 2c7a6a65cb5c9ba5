#include "repository/repository.h"

#include <fmt/format.h>

#include <mutex>
#include <unordered_set>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "core/parallel.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "repository/internal/codec.h"
#include "repository/pack.h"
#include "repository/walk.h"

namespace sevenfold::repository {
namespace {

using storage::FileName;
using storage::FileType;

constexpr uint64_t kMaxUnpacked = 1ULL << 30;
constexpr uint64_t kMaxConfig = 1 << 20;
constexpr uint8_t kCompressedMark = 2;  // first byte of compressed unpacked files (format A.4)
constexpr size_t kHeaderGuess = 4 + 32 + 15 * kHeaderEntryCompressed;

constexpr const char* kDamageHint =
    "Run `sevenfold repo check --read-data` to see what else is damaged; another place may hold a "
    "good "
    "copy.";

Bytes open_envelope(crypto::Cipher& cipher, ByteView stored, const std::string& what) {
    Bytes plaintext;
    if (!cipher.open(stored, plaintext))
        throw Error(ErrorKind::corrupt, what + ": ciphertext verification failed", kDamageHint);
    return plaintext;
}

Bytes store_config(storage::Backend& backend, const crypto::CipherKey& key,
                   const RepositoryConfig& config) {
    crypto::Cipher cipher(key);
    Bytes sealed = cipher.seal(as_bytes(encode_config(config)));
    CHECK(as_text(open_envelope(cipher, sealed, "config")) == encode_config(config));
    backend.store({FileType::config, {}}, sealed);
    return sealed;
}

// Keys without a config are left of a create() that broke off. They must go: they open with the
// same password perhaps, but hold another master key. With anything else beside them they are not
// left over: then the config was lost, and these keys are what its data can still be read with.
void remove_left_over_keys(storage::Backend& backend) {
    std::vector<storage::FileInfo> keys = backend.list_all(FileType::key);
    for (FileType type : {FileType::snapshot, FileType::index, FileType::pack}) {
        if (backend.list_all(type).empty()) continue;
        throw Error(
            ErrorKind::refused,
            fmt::format("{} has {} but no config", backend.location(), storage::folder(type)),
            "A repository lost its config here: put that file back from a copy, or choose "
            "another location.");
    }
    for (const storage::FileInfo& key : keys) backend.remove({FileType::key, key.id});
}

// Two that create at the same place at once may each remove or replace what the other stored: only
// who finds key and config as it stored them has a repository.
void check_created(storage::Backend& backend, const Id& key, ByteView config) {
    Bytes found = backend.load_all({FileType::config, {}}, kMaxConfig);
    if (std::ranges::equal(found, config) && backend.exists({FileType::key, key})) return;
    throw Error(ErrorKind::exists,
                fmt::format("somebody else created a repository at {} at the same time",
                            backend.location()),
                "Make sure that nobody else does, and try again.");
}

}  // namespace

struct Repository::Impl {
    std::unique_ptr<storage::Backend> backend;
    OpenedKey key;
    RepositoryConfig config;
    std::unique_ptr<internal::CodecPool> codecs;
    std::once_flag chunker_once;
    std::unique_ptr<ChunkerTables> chunker;

    Bytes fetch_verified(FileType type, const Id& id) {
        FileName name{type, id};
        for (int attempt = 0;; ++attempt) {
            Bytes stored = backend->load_all(name, kMaxUnpacked);
            if (crypto::sha256(stored) == id) return stored;
            // A bad transfer is likelier than a bad file: look twice before saying so.
            if (attempt > 0)
                throw Error(ErrorKind::corrupt,
                            fmt::format("{}: its content does not match its name", name.display()),
                            kDamageHint);
        }
    }

    Bytes unpack(Bytes plaintext, const std::string& what) {
        if (plaintext.empty() || plaintext[0] == '{' || plaintext[0] == '[') return plaintext;
        if (plaintext[0] != kCompressedMark)
            throw Error(ErrorKind::corrupt, what + ": neither JSON nor compressed JSON",
                        kDamageHint);
        Bytes out;
        try {
            codecs->borrow()->compressor.decompress_unknown(ByteView(plaintext).subspan(1),
                                                            kMaxUnpacked, out);
        } catch (const Error& error) {
            throw error.with_context(what);
        }
        return out;
    }
};

Repository::Repository() : impl_(std::make_unique<Impl>()), index_(std::make_unique<Index>()) {}
Repository::~Repository() = default;

std::unique_ptr<Repository> Repository::create(std::unique_ptr<storage::Backend> backend,
                                               const Secret& password,
                                               const CreateOptions& options) {
    CHECK(options.version == 1 || options.version == 2);
    if (password.empty())
        throw Error(ErrorKind::usage, "an empty password protects nothing",
                    "Give a password, or let `sevenfold init` make one.");
    backend->create();
    remove_left_over_keys(*backend);
    RepositoryConfig config{
        options.version, crypto::random_id(),
        options.chunker_polynomial ? *options.chunker_polynomial : random_polynomial()};
    crypto::CipherKey master = crypto::CipherKey::generate();
    Id key = add_key(*backend, master, password, options.key);
    if (backend->exists({FileType::config, {}}))
        throw Error(ErrorKind::exists,
                    fmt::format("there is a repository at {} already", backend->location()));
    check_created(*backend, key, store_config(*backend, master, config));
    return open(std::move(backend), password, {});
}

std::unique_ptr<Repository> Repository::open(std::unique_ptr<storage::Backend> backend,
                                             const Secret& password, const OpenOptions& options) {
    FileName config_name{FileType::config, {}};
    Bytes sealed;
    try {
        sealed = backend->load_all(config_name, kMaxConfig);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        throw Error(ErrorKind::no_repository,
                    fmt::format("there is no repository at {}", backend->location()),
                    "Check the location, or create a repository there with `init`.");
    }
    std::unique_ptr<Repository> repo(new Repository);
    Impl& impl = *repo->impl_;
    impl.backend = std::move(backend);
    impl.key = open_key(*impl.backend, password, options.key_hint, options.max_keys);
    impl.codecs = std::make_unique<internal::CodecPool>(impl.key.master);
    impl.config = decode_config(open_envelope(impl.codecs->borrow()->cipher, sealed, "config"));
    return repo;
}

const RepositoryConfig& Repository::config() const { return impl_->config; }
storage::Backend& Repository::backend() const { return *impl_->backend; }
std::string Repository::location() const { return impl_->backend->location(); }
const Id& Repository::key_id() const { return impl_->key.id; }
const crypto::CipherKey& Repository::master_key() const { return impl_->key.master; }

const ChunkerTables& Repository::chunker() const {
    std::call_once(impl_->chunker_once, [&] {
        impl_->chunker = std::make_unique<ChunkerTables>(impl_->config.chunker_polynomial);
    });
    return *impl_->chunker;
}

void Repository::wrap_backend(
    const std::function<std::unique_ptr<storage::Backend>(std::unique_ptr<storage::Backend>)>&
        wrap) {
    impl_->backend = wrap(std::move(impl_->backend));
}

Bytes Repository::load_unpacked(FileType type, const Id& id) const {
    std::string what = FileName{type, id}.display();
    Bytes stored = impl_->fetch_verified(type, id);
    return impl_->unpack(open_envelope(impl_->codecs->borrow()->cipher, stored, what), what);
}

Id Repository::save_unpacked(FileType type, ByteView json) const {
    auto codec = impl_->codecs->borrow();
    Bytes plaintext;
    if (impl_->config.version >= 2) {
        Bytes frame;
        size_t bound = json.size() + json.size() / 8 + 1024;
        CHECK(codec->compressor.compress(json, internal::kDefaultLevel, bound, frame));
        plaintext.push_back(kCompressedMark);
        append(plaintext, frame);
    } else {
        plaintext = to_bytes(json);
    }
    Bytes sealed = codec->cipher.seal(plaintext);
    CHECK(codec->cipher.verifies_as(sealed, plaintext));
    Id id = crypto::sha256(sealed);
    impl_->backend->store({type, id}, sealed);
    return id;
}

void Repository::remove(FileType type, const Id& id) const { impl_->backend->remove({type, id}); }

std::vector<IndexedPack> Repository::load_index_file(const Id& id) const {
    Bytes json = load_unpacked(FileType::index, id);
    std::vector<IndexedPack> packs;
    try {
        decode_index(json, [&](IndexedPack&& pack) { packs.push_back(std::move(pack)); });
    } catch (const Error& error) {
        throw error.with_context(FileName{FileType::index, id}.display());
    }
    return packs;
}

void Repository::load_index(std::vector<Error>* damaged, Progress* progress) {
    auto files = impl_->backend->list_all(FileType::index);
    Index fresh;
    std::mutex mutex;
    if (progress) progress->items_total += files.size();
    unsigned workers = std::max(cpu_count(), impl_->backend->capabilities().connections);
    parallel_for(files.size(), workers, [&](size_t i) {
        try {
            for (const IndexedPack& pack : load_index_file(files[i].id)) fresh.append(pack);
        } catch (const Error& error) {
            bool is_damage =
                error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::not_found;
            if (!damaged || !is_damage) throw;
            std::lock_guard lock(mutex);
            damaged->push_back(error);
        }
        if (progress) ++progress->items_done;
    });
    fresh.freeze();
    *index_ = std::move(fresh);
}

Bytes Repository::decode_blob(const PackedBlob& blob, ByteView envelope) const {
    auto codec = impl_->codecs->borrow();
    Bytes plaintext;
    auto bad = [&](const std::string& why) {
        return Error(
            ErrorKind::corrupt,
            fmt::format("{} blob {}: {}", name(blob.handle.type), blob.handle.id.hex(), why),
            kDamageHint);
    };
    if (envelope.size() != blob.length || !codec->cipher.open(envelope, plaintext))
        throw bad("ciphertext verification failed");
    if (blob.compressed()) {
        Bytes raw;
        try {
            codec->compressor.decompress(plaintext, blob.uncompressed_length, raw);
        } catch (const Error& error) {
            throw bad(error.message());
        }
        plaintext = std::move(raw);
    }
    if (crypto::sha256(plaintext) != blob.handle.id) throw bad("content does not match its id");
    return plaintext;
}

Bytes Repository::load_blob(const BlobHandle& handle) const {
    std::vector<BlobLocation> copies = index_->find_all(handle);
    if (copies.empty())
        throw Error(
            ErrorKind::not_found,
            fmt::format("{} blob {} is not in the index", name(handle.type), handle.id.hex()),
            kDamageHint);
    std::optional<Error> failure;
    for (int attempt = 0; attempt < 2; ++attempt) {
        for (const BlobLocation& copy : copies) try {
                return decode_blob(
                    copy.blob, impl_->backend->load({FileType::pack, copy.pack}, copy.blob.offset,
                                                    copy.blob.length));
            } catch (const Error& error) {
                // What cannot be reached may not be called damaged because another copy is.
                bool tells_more = !failure || (is_damage(*failure) && !is_damage(error));
                if (tells_more)
                    failure = error.with_context(fmt::format("pack {}", copy.pack.hex()));
            }
        if (!is_damage(*failure)) break;  // the backend has tried again itself
    }
    throw *failure;
}

std::vector<Node> Repository::load_tree(const Id& id) const {
    Bytes json = load_blob({BlobType::tree, id});
    try {
        return decode_tree(json);
    } catch (const Error& error) {
        throw error.with_context(fmt::format("tree {}", id.hex()));
    }
}

std::vector<PackedBlob> Repository::load_pack_header(const Id& pack, uint64_t file_size) const {
    FileName file{FileType::pack, pack};
    auto codec = impl_->codecs->borrow();
    try {
        size_t want = std::min<uint64_t>(file_size, kHeaderGuess);
        for (;;) {
            Bytes tail = impl_->backend->load(file, file_size - want, want);
            HeaderResult result = read_pack_header(tail, file_size, codec->cipher);
            if (result.bytes_needed == 0) return std::move(result.blobs);
            want = result.bytes_needed;
        }
    } catch (const Error& error) {
        throw error.with_context(fmt::format("pack {}", pack.hex()));
    }
}

}  // namespace sevenfold::repository
