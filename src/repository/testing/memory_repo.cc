#include "repository/testing/memory_repo.h"

#include "core/check.h"
#include "storage/testing/contract.h"

namespace sevenfold::repository::testing {

using storage::FileName;
using storage::FileType;

storage::Capabilities HookedBackend::capabilities() const {
    storage::Capabilities out = inner().capabilities();
    out.connections = hooks_.connections;
    return out;
}

void HookedBackend::store(const FileName& name, ByteView body) {
    if (hooks_.on_store) hooks_.on_store(name, body);
    inner().store(name, body);
}

Bytes HookedBackend::load(const FileName& name, uint64_t offset, size_t length) {
    Bytes out = inner().load(name, offset, length);
    if (hooks_.on_loaded) hooks_.on_loaded(name, out);
    return out;
}

Bytes HookedBackend::load_all(const FileName& name, uint64_t limit) {
    Bytes out = inner().load_all(name, limit);
    if (hooks_.on_loaded) hooks_.on_loaded(name, out);
    return out;
}

MemoryRepo::MemoryRepo(CreateOptions options) {
    options.key.kdf_time = std::chrono::milliseconds(0);
    if (!options.chunker_polynomial) options.chunker_polynomial = polynomial();
    Repository::create(backend(), password(), options);
}

Polynomial MemoryRepo::polynomial() { return parse_polynomial("3da3358b4dc173"); }

std::unique_ptr<storage::Backend> MemoryRepo::backend() {
    return std::make_unique<HookedBackend>(std::make_unique<storage::BorrowedBackend>(files),
                                           hooks);
}

std::unique_ptr<Repository> MemoryRepo::open() {
    auto out = Repository::open(backend(), password(), {});
    out->load_index();
    return out;
}

std::vector<Id> MemoryRepo::ids(FileType type) const {
    std::vector<Id> out;
    for (const auto& [key, body] : files.files())
        if (key.first == type) out.push_back(key.second);
    return out;
}

void MemoryRepo::damage(FileType type, const Id& id, size_t at) {
    auto all = files.files();
    Bytes& body = all.at({type, type == FileType::config ? Id{} : id});
    CHECK(at < body.size());
    body[at] ^= 1;
    files.set_files(std::move(all));
}

}  // namespace sevenfold::repository::testing
