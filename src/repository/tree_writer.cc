#include "repository/tree_writer.h"

#include <fmt/format.h>

#include "core/check.h"
#include "repository/chunker.h"

namespace sevenfold::repository {

// Folders by name; files and finished nodes by name.
struct TreeWriter::Folder {
    std::map<std::string, std::unique_ptr<Folder>> folders;
    std::map<std::string, Node> nodes;
};

struct TreeWriter::Shared {
    Shared(BlobWriter& w, const ChunkerTables& c, Options o)
        : writer(w), chunker(c), options(std::move(o)) {}

    BlobWriter& writer;
    const ChunkerTables& chunker;
    const Options options;
    std::mutex mutex;  // guards all below
    Folder root;
    std::map<std::string, bool> taken;  // paths of files, finished or under way
    uint64_t files = 0, bytes = 0, under_way = 0;

    void reserve(const std::string& path) {
        std::lock_guard lock(mutex);
        if (!taken.emplace(path, true).second)
            throw Error(ErrorKind::exists, fmt::format("{}: written twice", path));
    }
    // Puts a node in its folder, making the folders above it.
    void place(const std::string& path, Node node) {
        std::lock_guard lock(mutex);
        Folder* folder = &root;
        std::string_view rest = path;
        for (;;) {
            size_t slash = rest.find('/');
            std::string name(rest.substr(0, slash));
            if (!is_safe_name(name))
                throw Error(ErrorKind::corrupt, fmt::format("{}: not a usable path", path));
            if (slash == rest.npos) {
                node.name = name;
                if (folder->folders.contains(name) ||
                    !folder->nodes.emplace(name, std::move(node)).second)
                    throw Error(ErrorKind::exists, fmt::format("{}: exists already", path));
                return;
            }
            if (folder->nodes.contains(name))
                throw Error(ErrorKind::exists, fmt::format("{}: {} is a file", path, name));
            auto& next = folder->folders[name];
            if (!next) next = std::make_unique<Folder>();
            folder = next.get();
            rest.remove_prefix(slash + 1);
        }
    }
    // Takes a file out again.
    std::optional<Node> take(const std::string& path) {
        std::lock_guard lock(mutex);
        Folder* folder = &root;
        std::string_view rest = path;
        for (size_t slash; (slash = rest.find('/')) != rest.npos; rest.remove_prefix(slash + 1)) {
            auto next = folder->folders.find(std::string(rest.substr(0, slash)));
            if (next == folder->folders.end()) return std::nullopt;
            folder = next->second.get();
        }
        auto found = folder->nodes.find(std::string(rest));
        if (found == folder->nodes.end()) return std::nullopt;
        Node node = std::move(found->second);
        folder->nodes.erase(found);
        taken.erase(path);
        return node;
    }
    Node make_node(NodeType type, uint32_t mode, const Time& time) const {
        Node node;
        node.type = type;
        node.mode = mode;
        node.mtime = node.atime = node.ctime = time;
        node.uid = options.uid;
        node.gid = options.gid;
        node.user = options.user;
        node.group = options.group;
        return node;
    }
    Id store(BlobWriter::Worker& worker, Folder& folder) {
        for (auto& [name, below] : folder.folders) {
            Node node = make_node(NodeType::dir, go_mode(S_IFDIR | 0700), options.time);
            node.name = name;
            node.subtree = store(worker, *below);
            folder.nodes.emplace(name, std::move(node));
        }
        std::vector<Node> nodes;
        for (auto& [name, node] : folder.nodes) nodes.push_back(std::move(node));
        return worker.add(BlobType::tree, encode_tree(nodes));
    }
};

struct TreeWriter::File::Impl {
    Impl(std::shared_ptr<Shared> s, std::string p, const StreamFileOptions& o)
        : shared(std::move(s)),
          path(std::move(p)),
          options(o),
          worker(shared->writer),
          chunker(shared->chunker) {}

    std::shared_ptr<Shared> shared;
    const std::string path;
    const StreamFileOptions options;
    BlobWriter::Worker worker;
    Chunker chunker;
    Bytes buffer;  // from `start` on: what has not been stored
    size_t start = 0;
    uint64_t size = 0;
    std::vector<Id> content;
    bool finished = false;

    ByteView pending() const { return ByteView(buffer).subspan(start); }
    void store(size_t length) {
        if (!shared->writer.any_active())
            throw Error(ErrorKind::interrupted, "no place is left to store to");
        content.push_back(worker.add(BlobType::data, pending().first(length)));
        start += length;
    }
    void cut() {
        if (options.fixed_chunk != 0) {
            while (pending().size() >= options.fixed_chunk) store(options.fixed_chunk);
        } else {
            while (auto length = chunker.next(pending())) store(*length);
        }
        if (start == buffer.size()) {
            buffer.clear();
            start = 0;
        } else if (start > (4u << 20)) {
            buffer.erase(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(start));
            start = 0;
        }
    }
};

TreeWriter::TreeWriter(BlobWriter& writer, const ChunkerTables& chunker, Options options)
    : shared_(std::make_shared<Shared>(writer, chunker, std::move(options))) {}
TreeWriter::~TreeWriter() = default;

TreeWriter::File::File() = default;
TreeWriter::File::~File() {
    std::lock_guard lock(impl_->shared->mutex);
    --impl_->shared->under_way;
    if (!impl_->finished) impl_->shared->taken.erase(impl_->path);
}

void TreeWriter::File::write(ByteView bytes) {
    CHECK(!impl_->finished);
    constexpr size_t kStep = 256 << 10;  // scanned while it is in the cache
    impl_->size += bytes.size();
    while (!bytes.empty()) {
        size_t n = std::min(bytes.size(), kStep);
        append(impl_->buffer, bytes.first(n));
        bytes = bytes.subspan(n);
        if (impl_->options.fixed_chunk == 0 ||
            impl_->pending().size() >= impl_->options.fixed_chunk)
            impl_->cut();
    }
}

uint64_t TreeWriter::File::size() const { return impl_->size; }

void TreeWriter::File::finish() {
    CHECK(!impl_->finished);
    if (!impl_->pending().empty()) impl_->store(impl_->pending().size());
    Node node = impl_->shared->make_node(NodeType::file, impl_->options.mode, impl_->options.mtime);
    node.size = impl_->size;
    node.links = 1;
    node.content = std::move(impl_->content);
    impl_->shared->place(impl_->path, std::move(node));
    impl_->finished = true;
    std::lock_guard lock(impl_->shared->mutex);
    impl_->shared->files += 1;
    impl_->shared->bytes += impl_->size;
}

std::unique_ptr<TreeWriter::File> TreeWriter::create(const std::string& path,
                                                     const StreamFileOptions& options) {
    shared_->reserve(path);
    std::unique_ptr<File> file(new File);
    file->impl_ = std::make_unique<File::Impl>(shared_, path, options);
    std::lock_guard lock(shared_->mutex);
    ++shared_->under_way;
    return file;
}

void TreeWriter::add(const std::string& path, ByteView content, const StreamFileOptions& options) {
    auto file = create(path, options);
    file->write(content);
    file->finish();
}

void TreeWriter::add(const std::string& path, Node node) {
    shared_->reserve(path);
    uint64_t size = node.is_file() ? node.size : 0;
    shared_->place(path, std::move(node));
    std::lock_guard lock(shared_->mutex);
    shared_->files += 1;
    shared_->bytes += size;
}

bool TreeWriter::remove(const std::string& path) {
    std::optional<Node> node = shared_->take(path);
    if (!node) return false;
    std::lock_guard lock(shared_->mutex);
    shared_->files -= 1;
    shared_->bytes -= node->is_file() ? node->size : 0;
    return true;
}

bool TreeWriter::rename(const std::string& from, const std::string& to) {
    std::optional<Node> node = shared_->take(from);
    if (!node) return false;
    remove(to);
    shared_->reserve(to);
    shared_->place(to, std::move(*node));
    return true;
}

Id TreeWriter::finish() {
    {
        std::lock_guard lock(shared_->mutex);
        CHECK(shared_->under_way == 0);
    }
    BlobWriter::Worker worker(shared_->writer);
    return shared_->store(worker, shared_->root);
}

uint64_t TreeWriter::file_count() const {
    std::lock_guard lock(shared_->mutex);
    return shared_->files;
}
uint64_t TreeWriter::byte_count() const {
    std::lock_guard lock(shared_->mutex);
    return shared_->bytes;
}

}  // namespace sevenfold::repository
