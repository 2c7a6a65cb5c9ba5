// repo cat: the decrypted content of one object of the repository.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "core/log.h"

namespace sevenfold::cli {
namespace {

using repository::BlobType;
using storage::FileType;

struct Options {
    std::string what, id;
};

Bytes masterkey_json(const crypto::CipherKey& key) {
    std::string text =
        fmt::format(R"({{"mac":{{"k":"{}","r":"{}"}},"encrypt":"{}"}})", to_base64(key.mac_k),
                    to_base64(key.mac_r), to_base64(key.encrypt));
    Bytes out = to_bytes(text);
    wipe(text.data(), text.size());
    return out;
}

Bytes blob(repository::Repository& repository, const std::string& text,
           std::initializer_list<BlobType> types) {
    auto id = Id::parse(text);
    if (!id)
        throw Error(ErrorKind::usage, fmt::format("{} is not an id", printable(text)),
                    "Give all 64 digits.");
    repository.load_index();
    for (BlobType type : types)
        if (repository.index().has({type, *id})) return repository.load_blob({type, *id});
    throw Error(ErrorKind::not_found, fmt::format("blob {} is not in the index", text));
}

Bytes tree(repository::Repository& repository, const std::string& text) {
    if (Id::parse(text)) return blob(repository, text, {BlobType::tree});
    auto spec = repository::find_snapshot(repository, text, {});
    repository.load_index();
    Id id = repository::find_subtree(repository, spec.snapshot.tree, spec.subfolder);
    return repository.load_blob({BlobType::tree, id});
}

Bytes content(repository::Repository& repository, const Options& options, bool& is_text) {
    const std::string& what = options.what;
    if (what == "config") return to_bytes(repository::encode_config(repository.config()));
    if (what == "masterkey") return masterkey_json(repository.master_key());
    if (options.id.empty()) throw Error(ErrorKind::usage, "an id is needed, too");
    auto file = [&](FileType type) { return find_file(repository, type, options.id); };
    if (what == "index") return repository.load_unpacked(FileType::index, file(FileType::index));
    if (what == "lock") return repository.load_unpacked(FileType::lock, file(FileType::lock));
    if (what == "snapshot")
        return repository.load_unpacked(
            FileType::snapshot, repository::find_snapshot(repository, options.id, {}).snapshot.id);
    if (what == "key") return repository.backend().load_all({FileType::key, file(FileType::key)});
    if (what == "tree") return tree(repository, options.id);
    is_text = false;
    if (what == "pack")
        return repository.backend().load_all({FileType::pack, file(FileType::pack)});
    if (what == "blob") return blob(repository, options.id, {BlobType::data, BlobType::tree});
    throw Error(ErrorKind::usage, fmt::format("cannot show a \"{}\"", printable(what)),
                "One of config, masterkey, index, snapshot, pack, blob, tree, key, lock.");
}

int cat(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, repository::LockMode::shared, true);
    bool is_text = true;
    Bytes bytes = content(*repository, options, is_text);
    if (is_text && !as_text(bytes).ends_with('\n')) bytes.push_back('\n');
    write_stdout(bytes);
    wipe(bytes.data(), bytes.size());
    return 0;
}

}  // namespace

void add_repo_cat(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    repo.command("cat", "Print one object of the repository, decrypted.",
                 "sevenfold repo cat config\n"
                 "sevenfold repo cat snapshot latest\n"
                 "sevenfold repo cat tree latest:/srv\n"
                 "sevenfold repo cat masterkey        opens the repository: keep it secret")
        .argument("TYPE", options->what,
                  "config, masterkey, index, snapshot, pack, blob, tree, key or lock")
        .argument("ID", options->id, "id, or for files the beginning of it", false)
        .run([shared, options](Context& context) { return cat(context, *shared, *options); });
}

}  // namespace sevenfold::cli
