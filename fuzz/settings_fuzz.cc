// Any text as sevenfold.toml: every problem is reported with its line, nothing else comes out.
#include "config/config.h"
#include "core/check.h"
#include "core/error.h"

using namespace sevenfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto no_environment = [](const char*) -> const char* { return nullptr; };
    config::Inspection inspection =
        config::inspect_text(text, "/etc/sevenfold/sevenfold.toml", no_environment);
    for (const config::Problem& problem : inspection.problems) CHECK(!problem.text.empty());
    if (inspection.problems.empty()) {
        for (const config::FilesConfig& source : inspection.loaded.config.files)
            for (const std::string& place : source.places)
                CHECK(inspection.loaded.config.find_place(place) != nullptr);
    }
    return 0;
}
