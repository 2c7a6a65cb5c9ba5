#include "cli/table.h"

#include <algorithm>

#include "cli/utf8.h"
#include "core/check.h"
#include "core/log.h"

namespace sevenfold::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 8;  // a column never shrinks below this

std::string pad(const std::string& text, size_t width, Column::Align align, bool last) {
    size_t have = display_width(text);
    std::string space(width > have ? width - have : 0, ' ');
    if (align == Column::right) return space + text;
    return last ? text : text + space;
}

}  // namespace

void Table::row(std::vector<Cell> cells) {
    CHECK(cells.size() <= columns_.size());
    for (Cell& cell : cells) cell.text = printable(cell.text);
    while (cells.size() < columns_.size()) cells.emplace_back("");
    rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths(size_t limit) const {
    std::vector<size_t> out;
    for (const Column& column : columns_) out.push_back(display_width(column.title));
    for (const auto& cells : rows_)
        for (size_t i = 0; i < cells.size(); ++i)
            out[i] = std::max(out[i], display_width(cells[i].text));
    size_t total = kGap * (out.empty() ? 0 : out.size() - 1);
    for (size_t width : out) total += width;
    // The widest shrinking column gives way first, so that short ones stay whole.
    while (limit != 0 && total > limit) {
        size_t widest = columns_.size();
        for (size_t i = 0; i < columns_.size(); ++i)
            if (columns_[i].shrinks && out[i] > kNarrowest &&
                (widest == columns_.size() || out[i] > out[widest]))
                widest = i;
        if (widest == columns_.size()) break;
        --out[widest];
        --total;
    }
    return out;
}

std::string Table::text(size_t width, bool painted) const {
    const std::vector<size_t> wide = widths(width);
    std::string out;
    auto line = [&](auto&& cell_of) {
        std::string made;
        for (size_t i = 0; i < columns_.size(); ++i) {
            const Cell& cell = cell_of(i);
            if (i != 0) made.append(kGap, ' ');
            std::string text = pad(shorten(cell.text, wide[i]), wide[i], columns_[i].align,
                                   i + 1 == columns_.size());
            made += painted ? paint(cell.style, text) : text;
        }
        if (!painted) made.erase(made.find_last_not_of(' ') + 1);
        if (!out.empty()) out += '\n';
        out += made;
    };
    std::vector<Cell> titles;
    for (const Column& column : columns_) titles.emplace_back(column.title, Style::bold);
    line([&](size_t i) -> const Cell& { return titles[i]; });
    for (const auto& cells : rows_) line([&](size_t i) -> const Cell& { return cells[i]; });
    return out;
}

void Table::print(Terminal& terminal) const {
    terminal.print(text(terminal.width(), terminal.painted()));
}

}  // namespace sevenfold::cli
