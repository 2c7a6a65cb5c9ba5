#include "files/internal/bucket_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "files/internal/object_attributes.h"
#include "storage/s3/bucket_path.h"

namespace sevenfold::files::internal {
namespace {

using repository::Node;
using repository::NodeType;
using storage::GetOptions;
using storage::ListedObject;
using storage::ObjectInfo;

constexpr uint64_t kWhole = 8 << 20;  // objects up to this size are read by one request,
constexpr size_t kPiece = 8 << 20;    // larger ones in such pieces; a worker holds one
constexpr int kAttempts = 3;          // at an object that changes

// What an object has of a file's metadata. Nobody but the owner may read what is restored.
Node make_file(const std::string& name, const ListedObject& object, bool with_version) {
    Node node;
    node.name = name;
    node.type = NodeType::file;
    node.mode = repository::go_mode(S_IFREG | 0600);
    node.mtime = node.atime = node.ctime = object.modified;
    node.uid = getuid();
    node.gid = getgid();
    node.links = 1;
    node.size = object.size;
    set_attribute(node, "etag", object.etag);
    if (with_version && object.version != "null") set_attribute(node, "version", object.version);
    return node;
}

Node make_folder(const std::string& name) {
    Node node;
    node.name = name;
    node.type = NodeType::dir;
    node.mode = repository::go_mode(S_IFDIR | 0700);
    node.uid = getuid();
    node.gid = getgid();
    return node;
}

class BucketFolder : public SourceFolder {
  public:
    // The objects [first, last), whose paths all go on behind `skip` bytes; `above` are folders on
    // the way from the snapshot's root to the bucket's.
    BucketFolder(const BucketContents& contents, std::string path, size_t first, size_t last,
                 size_t skip, std::vector<std::string> above)
        : contents_(contents),
          path_(std::move(path)),
          first_(first),
          last_(last),
          skip_(skip),
          above_(std::move(above)) {}

    void open(Run&) override {}
    std::vector<Node> entries(Run& run) override;
    std::string entry_path(const std::string& name) const override {
        return path_ == "/" ? path_ + name : path_ + "/" + name;
    }
    std::unique_ptr<SourceFolder> child(size_t i, const Node& node) override;
    bool is_unchanged(const Run&, const Node& now, const Node& before) const override {
        // A version's id is not known from every listing.
        std::string_view is = get_attribute(now, "version"), was = get_attribute(before, "version");
        return before.is_file() && now.size == before.size && now.mtime == before.mtime &&
               !get_attribute(now, "etag").empty() &&
               get_attribute(now, "etag") == get_attribute(before, "etag") &&
               (is.empty() || was.empty() || is == was) && !contents_.options().refresh;
    }
    void take_over(Node& now, const Node& before) const override {
        now.content = before.content;
        now.extended_attributes = before.extended_attributes;
    }
    void read(Run& run, unsigned worker, size_t i, Node& node, ContentDone done) override;

  private:
    struct Range {
        size_t first = 0, last = 0;
        bool folder = false;
    };
    void read_once(Run& run, unsigned worker, const ListedObject& object, Node& node,
                   const ContentDone& done);
    void attributes(Run& run, const ListedObject& object, const ObjectInfo& info, Node& node);

    const BucketContents& contents_;
    const std::string path_;
    const size_t first_, last_, skip_;
    const std::vector<std::string> above_;
    std::vector<Range> ranges_;  // of the entries
};

std::vector<Node> BucketFolder::entries(Run& run) {
    if (!above_.empty()) {
        Node node = make_folder(above_[0]);
        if (above_.size() == 1) set_attribute(node, "names", "1");
        ranges_ = {{first_, last_, true}};
        std::vector<Node> only;
        only.push_back(std::move(node));
        return only;
    }
    std::vector<std::pair<Node, Range>> found;
    const Exclude* exclude = run.options.exclude;
    const auto& objects = contents_.objects();
    for (size_t i = first_; i < last_;) {
        std::string_view rest = std::string_view(objects[i].path).substr(skip_);
        size_t slash = rest.find('/');
        std::string name(rest.substr(0, slash));
        size_t end = i + 1;
        if (slash != rest.npos)
            while (end < last_ &&
                   std::string_view(objects[end].path).substr(skip_).starts_with(name + "/"))
                ++end;
        const ListedObject& object = objects[i].listed;
        struct stat size {};
        size.st_mode = S_IFREG;
        size.st_size = static_cast<off_t>(object.size);
        bool out = exclude && (exclude->by_path(entry_path(name)) ||
                               (slash == rest.npos && exclude->by_stat(size)));
        if (!out)
            found.emplace_back(slash == rest.npos
                                   ? make_file(name, object, contents_.options().at.has_value())
                                   : make_folder(name),
                               Range{i, end, slash != rest.npos});
        i = end;
    }
    std::ranges::sort(found, {},
                      [](const auto& entry) -> const std::string& { return entry.first.name; });
    std::vector<Node> nodes;
    for (auto& [node, range] : found) {
        nodes.push_back(std::move(node));
        ranges_.push_back(range);
    }
    return nodes;
}

std::unique_ptr<SourceFolder> BucketFolder::child(size_t i, const Node& node) {
    const Range& range = ranges_[i];
    std::vector<std::string> above;
    if (!above_.empty()) above.assign(above_.begin() + 1, above_.end());
    size_t skip = above_.empty() ? skip_ + node.name.size() + 1 : 0;
    return std::make_unique<BucketFolder>(contents_, entry_path(node.name), range.first, range.last,
                                          skip, std::move(above));
}

// Reads the object while it is the one that was listed; when it was replaced, the new one.
void BucketFolder::read(Run& run, unsigned worker, size_t i, Node& node, ContentDone done) {
    ListedObject object = contents_.objects()[ranges_[i].first].listed;
    for (int attempt = 1;; ++attempt) {
        run.check_going_on();
        try {
            return read_once(run, worker, object, node, done);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::exists || attempt == kAttempts) throw;
        }
        ObjectInfo now = contents_.bucket().head(object.key, {.version = object.version});
        object.size = now.size;
        object.etag = now.etag;
        object.modified = now.modified;
        node = make_file(node.name, object, false);
    }
}

void BucketFolder::read_once(Run& run, unsigned worker, const ListedObject& object, Node& node,
                             const ContentDone& done) {
    storage::Bucket& bucket = contents_.bucket();
    const GetOptions same{.version = object.version, .if_match = object.etag};
    ObjectInfo info;
    Bytes piece;
    uint64_t start = 0;
    if (object.size <= kWhole)
        piece = bucket.get(object.key, object.size, info, same);
    else
        info = bucket.head(object.key, same);
    if (info.size != object.size)
        throw Error(ErrorKind::exists, bucket.display(object.key) + ": its size has changed");
    attributes(run, object, info, node);
    auto read = [&](MutableByteView to, uint64_t offset) {
        size_t done_bytes = 0;
        while (done_bytes < to.size() && offset < object.size) {
            if (offset < start || offset >= start + piece.size()) {
                start = offset;
                auto length = static_cast<size_t>(std::min<uint64_t>(kPiece, object.size - offset));
                piece = bucket.get_range(object.key, offset, length, same);
            }
            size_t n = std::min<size_t>(to.size() - done_bytes, start + piece.size() - offset);
            std::memcpy(to.data() + done_bytes, piece.data() + (offset - start), n);
            done_bytes += n;
            offset += n;
        }
        return done_bytes;
    };
    store_content(run, worker, read, node, done);
}

void BucketFolder::attributes(Run& run, const ListedObject& object, const ObjectInfo& info,
                              Node& node) {
    set_headers(node, info.headers);
    if (info.version != "null") set_attribute(node, "version", info.version);
    storage::Bucket& bucket = contents_.bucket();
    // Without them the object is saved all the same, and the run says so.
    std::optional<Error> refused;
    auto ask = [&](const char* what, auto question) {
        try {
            question();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::permission && error.kind() != ErrorKind::unsupported)
                throw;
            refused = error.with_context(std::string("saved without its ") + what);
        }
    };
    if (contents_.options().acl)
        ask("grants", [&] {
            set_attribute(node, "acl", storage::to_text(bucket.acl(object.key, object.version)));
        });
    if (contents_.options().tags)
        ask("tags", [&] {
            set_attribute(node, "tags", storage::to_text(bucket.tags(object.key, object.version)));
        });
    if (refused) run.incomplete(entry_path(node.name), *refused);
    sort_attributes(node);
}

}  // namespace

std::unique_ptr<SourceFolder> bucket_source(const BucketContents& contents,
                                            const std::string& path) {
    std::vector<std::string> above;
    for (size_t at = 1; at <= path.size();) {
        size_t slash = std::min(path.find('/', at), path.size());
        above.push_back(path.substr(at, slash - at));
        at = slash + 1;
    }
    return std::make_unique<BucketFolder>(contents, "/", 0, contents.objects().size(), 0,
                                          std::move(above));
}

}  // namespace sevenfold::files::internal
