#include "files/estimate.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>

#include "files/bucket_contents.h"
#include "files/internal/targets.h"
#include "os/file.h"

namespace sevenfold::files {
namespace {

class Estimate {
  public:
    Estimate(const ArchiveOptions& options, Progress& progress, std::stop_token stop)
        : options_(options), progress_(progress), stop_(std::move(stop)) {}

    void entry(int dirfd, const char* name, const std::string& path, dev_t device) {
        struct stat st {};
        if (stop_.stop_requested() || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
        if (options_.exclude && options_.exclude->by_stat(st)) return;
        if (S_ISREG(st.st_mode)) {
            ++progress_.items_total;
            progress_.bytes_total += static_cast<uint64_t>(st.st_size);
        } else if (S_ISDIR(st.st_mode)) {
            bool foreign = options_.one_file_system && device != 0 && st.st_dev != device;
            if (!foreign) folder(dirfd, name, path, st.st_dev);
        }
    }

  private:
    void folder(int dirfd, const char* name, const std::string& path, dev_t device) {
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return;
        std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd), closedir);
        const Exclude* exclude = options_.exclude;
        FolderTags tags;
        if (exclude && exclude->has_tags()) tags = exclude->tags_in(fd, path, [](const Error&) {});
        while (dirent* item = readdir(dir.get())) {
            std::string_view child = item->d_name;
            if (child == "." || child == "..") continue;
            std::string child_path = path == "/" ? path + item->d_name : path + "/" + item->d_name;
            if (exclude && (tags.excludes(child) || exclude->by_path(child_path))) continue;
            entry(fd, item->d_name, child_path, device);
        }
    }

    const ArchiveOptions& options_;
    Progress& progress_;
    std::stop_token stop_;
};

}  // namespace

void estimate(const ArchiveOptions& options, Progress& progress, std::stop_token stop) {
    if (options.bucket) {
        progress.items_total += options.bucket->objects().size();
        progress.bytes_total += options.bucket->bytes();
        progress.totals_known = true;
        return;
    }
    Estimate walk(options, progress, stop);
    for (const std::string& target : options.targets)
        walk.entry(AT_FDCWD, target.c_str(), internal::absolute_path(target), 0);
    if (!stop.stop_requested()) progress.totals_known = true;
}

}  // namespace sevenfold::files
