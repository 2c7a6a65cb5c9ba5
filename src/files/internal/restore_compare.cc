// The part of RestoreWriter that reads the target: what is there already, and is it right now.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/parallel.h"
#include "crypto/sha256.h"
#include "files/internal/restore_writer.h"

namespace sevenfold::files::internal {
namespace {

// A large file is compared by several threads, in parts of about this size.
constexpr uint64_t kSpanSize = 64 << 20;

os::UniqueFd open_existing(Target& target, const FileEntry& file) {
    Target::FolderFd dir = target.open(*file.folder);
    return os::UniqueFd(::openat(dir->get(), file.node.name.c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

std::vector<RestoreWriter::Span> RestoreWriter::spans(const Batch& batch,
                                                      bool (*wanted)(const FileEntry&)) {
    std::vector<Span> out;
    for (uint32_t i = 0; i < batch.files.size(); ++i) {
        const FileEntry& file = batch.files[i];
        if (!wanted(file)) continue;
        uint32_t first = file.first_placement, end = first + file.placement_count;
        do {
            uint64_t size = 0;
            uint32_t last = first;
            for (; last < end && size < kSpanSize; ++last) size += batch.placements[last].size;
            out.push_back({.file = i, .first = first, .last = last});
            first = last;
        } while (first < end);
    }
    return out;
}

void RestoreWriter::compare_span(const Batch& batch, const Span& span, int fd,
                                 const std::function<void(const Placement&)>& differs) {
    Bytes data;
    for (uint32_t i = span.first; i < span.last; ++i) {
        report_.check_stop();
        const Placement& p = batch.placements[i];
        data.resize(p.size);
        size_t got = os::pread_all(fd, data, p.file_offset, batch.files[span.file].node.name);
        if (got != p.size || crypto::sha256(data) != p.blob) differs(p);
    }
}

// Which chunks of existing files are right: those are not needed. A file that has to change but
// cannot be changed in place is made anew.
void RestoreWriter::compare(Batch& batch) {
    std::vector<Span> all = spans(
        batch, [](const FileEntry& f) { return f.action == FileAction::modify && !f.failed; });
    if (all.empty()) return;
    for (const Span& span : all)
        for (uint32_t i = span.first; i < span.last; ++i) batch.placements[i].needed = false;
    parallel_for(all.size(), workers_, [&](size_t i) {
        const Span& span = all[i];
        FileEntry& file = batch.files[span.file];
        auto differs = [&](const Placement& p) {
            batch.placements[&p - batch.placements.data()].needed = true;
        };
        try {
            os::UniqueFd fd = open_existing(target_, file);
            if (fd.valid()) return compare_span(batch, span, fd.get(), differs);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
        }
        // Not readable: it is written as a whole.
        for (uint32_t p = span.first; p < span.last; ++p) differs(batch.placements[p]);
    });
    for (FileEntry& file : batch.files)
        if (file.action == FileAction::modify && !file.failed) decide(file, batch);
}

void RestoreWriter::decide(FileEntry& file, Batch& batch) {
    auto first = batch.placements.begin() + file.first_placement;
    auto last = first + file.placement_count;
    bool differs = std::any_of(first, last, [](const Placement& p) { return p.needed; });
    try {
        auto st = target_.stat(*file.folder, file.node.name);
        bool size_differs = !st || static_cast<uint64_t>(st->st_size) != file.size;
        if (!differs && !size_differs) return;
        if (options_.dry_run) {
            file.action = FileAction::create;
            return;
        }
        bool in_place = st && S_ISREG(st->st_mode) && st->st_nlink == 1;
        if (in_place) {
            Target::FolderFd dir = target_.open(*file.folder);
            os::UniqueFd fd(
                ::openat(dir->get(), file.node.name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
            in_place = fd.valid();
            if (in_place && size_differs &&
                ::ftruncate(fd.get(), static_cast<off_t>(file.size)) != 0)
                throw errno_error("set size of " + target_.display(file.path()));
            file.resized = true;
        }
        if (!in_place) {
            file.action = FileAction::create;
            file.clear_way = true;
            std::for_each(first, last, [](Placement& p) { p.needed = true; });
        }
        for (auto p = first; p != last; ++p)
            if (!p->needed) {
                report_.bytes_kept += p->size;
                report_.bytes_done(p->size);
            }
    } catch (const Error& error) {
        fail(file, error);
    }
}

void RestoreWriter::verify(Batch& batch) {
    std::vector<Span> all =
        spans(batch, [](const FileEntry& f) { return !f.failed && f.damaged_pieces == 0; });
    if (all.empty()) return;
    // Pages that are not yet on the disk cannot be dropped from memory, and reading them back would
    // prove nothing about the disk.
    if (::syncfs(target_.root()) != 0) throw errno_error("sync " + options_.target);
    parallel_for(all.size(), workers_, [&](size_t i) {
        const Span& span = all[i];
        FileEntry& file = batch.files[span.file];
        try {
            os::UniqueFd fd = open_existing(target_, file);
            struct stat st {};
            if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
                throw errno_error("open " + target_.display(file.path()));
            ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
            bool good = S_ISREG(st.st_mode) && static_cast<uint64_t>(st.st_size) == file.size;
            compare_span(batch, span, fd.get(), [&](const Placement&) { good = false; });
            if (!good)
                throw Error(ErrorKind::corrupt, "what was written reads back differently",
                            "Restore again to other storage: this disk or memory is not reliable.");
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
            fail(file, error);
        }
    });
    for (const FileEntry& file : batch.files)
        if (!file.failed && file.damaged_pieces == 0) ++report_.verified;
}

}  // namespace sevenfold::files::internal
