#include "repository/dump.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/parallel.h"
#include "repository/walk.h"

namespace sevenfold::repository {
namespace {

constexpr size_t kBatch = 8;  // blobs fetched at once

// What the blobs hold: a file that changed while it was saved may have another size on record.
uint64_t content_size(const Repository& repository, const Node& file) {
    uint64_t size = 0;
    for (const Id& id : file.content) {
        auto found = repository.index().find({BlobType::data, id});
        if (!found)
            throw Error(
                ErrorKind::not_found,
                fmt::format("data blob {} of file \"{}\" is not in the index", id.hex(), file.name),
                "Run `sevenfold repo check` to see what is damaged.");
        size += found->blob.plaintext_length();
    }
    return size;
}

}  // namespace

void dump_file(const Repository& repository, const Node& file, const Sink& sink,
               std::stop_token stop) {
    for (size_t at = 0; at < file.content.size(); at += kBatch) {
        if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "dump interrupted");
        std::vector<Bytes> blobs(std::min(kBatch, file.content.size() - at));
        parallel_for(blobs.size(), reading_workers(repository), [&](size_t i) {
            blobs[i] = repository.load_blob({BlobType::data, file.content[at + i]});
        });
        for (const Bytes& blob : blobs) sink(blob);
    }
}

void dump_tar(const Repository& repository, const Id& tree, const std::string& prefix,
              const Sink& sink, std::stop_token stop) {
    TarWriter tar(sink);
    PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const Node& node) {
        if (!is_safe_name(node.name))
            throw Error(ErrorKind::corrupt, "\"" + path + "\" is not a possible path");
        if (!node.is_file()) {
            tar.header(path, node);
        } else {
            Node file = node;
            file.size = content_size(repository, node);
            tar.header(path, file);
            dump_file(
                repository, node, [&](ByteView bytes) { tar.content(bytes); }, stop);
            tar.end_content();
        }
        return Step::into;
    };
    walk_paths(repository, tree, prefix, visitor, stop);
    tar.finish();
}

}  // namespace sevenfold::repository
