#include "database/testing/stored_base.h"

#include <fcntl.h>

#include "os/file.h"
#include "repository/dump.h"
#include "repository/walk.h"

namespace sevenfold::database {

Id store_tree(repository::testing::MemoryRepo& repo,
              const std::function<void(repository::TreeWriter&)>& fill) {
    auto repository = repo.open();
    repository::BlobWriter writer({{"memory", repository.get()}}, {});
    repository::TreeWriter tree(writer, repository->chunker(), {});
    fill(tree);
    Id root = tree.finish();
    writer.finish();
    if (auto failure = writer.failure(0)) throw *failure;
    return root;
}

void extract(const repository::Repository& repository, const Id& tree, const std::string& folder) {
    repository::PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const repository::Node& node) {
        std::string target = folder + path;
        if (node.is_dir()) {
            os::make_dirs(target);
            return repository::Step::into;
        }
        os::UniqueFd fd = os::open_file(target, O_WRONLY | O_CREAT | O_EXCL, 0600);
        repository::dump_file(repository, node,
                              [&](ByteView bytes) { os::write_all(fd.get(), bytes, target); });
        return repository::Step::into;
    };
    repository::walk_paths(repository, tree, "", visitor);
}

}  // namespace sevenfold::database
