// Any bytes as a resume journal: it opens, finds only nodes that can be written again, and what is
// recorded in it is found by the next run.
#include <fcntl.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/check.h"
#include "files/internal/resume_journal.h"
#include "os/file.h"

using namespace sevenfold;
using files::internal::ResumeJournal;

namespace {

// In memory, if possible: the file is written for every input.
struct Folder {
    std::string path = "/dev/shm/resume_journal_fuzz-XXXXXX";
    Folder() {
        if (::mkdtemp(path.data()) != nullptr) return;
        path = "resume_journal_fuzz-XXXXXX";
        CHECK(::mkdtemp(path.data()) != nullptr);
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Folder folder;
    const std::string path = folder.path + "/journal";
    {
        os::UniqueFd fd = os::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        os::write_all(fd.get(), ByteView(data, size), path);
    }
    repository::Node node;
    node.name = "b";
    node.size = 7;
    {
        ResumeJournal journal(path);
        for (const char* name : {"", "/a", "/a/b"})
            if (auto found = journal.find(name)) {
                Bytes json;
                repository::encode_node(json, *found);
            }
        journal.record("/a/b", node);
        journal.flush();
    }
    ResumeJournal journal(path);
    auto found = journal.find("/a/b");
    CHECK(found && found->size == 7);
    return 0;
}
