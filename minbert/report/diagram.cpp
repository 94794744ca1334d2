// Diagrams: the texts of boxes, and their layout.
#include "minbert/report/diagram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/report/numbers.h"

namespace minbert {
namespace {

// Lengths in units of the view box, which is about as wide as a phone.
constexpr double kDiagramWidth = 400, kGap = 8, kArrow = 18, kIndent = 18;
constexpr double kLine = 15, kPadding = 9;  // height of a line of text, and space around the text of a box
constexpr double kLetter = 5.6;             // average width of a letter at 11 pixels
constexpr std::size_t kColumns = 3;         // heads in a row of boxes
constexpr std::size_t kMostNames = 6;       // names of tasks or texts in a box
constexpr std::size_t kMostNodes = 60;      // a flow with more boxes could not be read

using Lines = std::vector<std::string>;

std::string at(double value) { return fmt::format("{:.1f}", value); }

double box_height(const Lines& lines) { return static_cast<double>(lines.size()) * kLine + 2 * kPadding - 3; }

/// A box of text; the first line is its name.
Html box(double x, double y, double width, double height, const Lines& lines, std::string_view kind = "box") {
  Html html = element(
      "rect", {{"class", std::string(kind)}, {"x", at(x)}, {"y", at(y)}, {"width", at(width)}, {"height", at(height)}, {"rx", "5"}});
  double baseline = y + kPadding + 9;
  for (std::size_t i = 0; i < lines.size(); ++i, baseline += kLine) {
    const std::string text = shortened(lines[i], static_cast<std::size_t>((width - 2 * kPadding) / kLetter));
    html += element("text", {{"class", i == 0 ? "name" : "line-text"}, {"x", at(x + kPadding)}, {"y", at(baseline)}}, text);
  }
  return html;
}

Html edge(const std::string& path) { return element("path", {{"class", "edge"}, {"d", path}}); }

/// A vertical line from (x, from) down to (x, y), with a tip at its end.
Html arrow(double x, double from, double y) {
  return edge(fmt::format("M{0} {1}V{2}", at(x), at(from), at(y - 4))) +
         element("path", {{"class", "tip"}, {"d", fmt::format("M{} {}h7l-3.5 5z", at(x - 3.5), at(y - 5))}});
}

Html drawing(const std::string& id, double height, const std::string& title, const std::string& description, const Html& content) {
  const Html head = element("title", {{"id", id + "-name"}}, title) + element("desc", {{"id", id + "-text"}}, description);
  return element("svg",
                 {{"viewBox", fmt::format("0 0 {} {}", kDiagramWidth, at(height))},
                  {"role", "img"},
                  {"aria-labelledby", fmt::format("{0}-name {0}-text", id)}},
                 head + content) +
         "\n";
}

/// A width as a number, or as a multiple of H when the encoder's width is unknown.
std::string width_text(std::int64_t multiple, const std::optional<EncoderSizes>& encoder) {
  if (encoder) return std::to_string(multiple * encoder->hidden);
  return multiple == 1 ? "H" : fmt::format("{}H", multiple);
}

std::string width_text(const std::string& dense, const std::optional<EncoderSizes>& encoder) {
  return encoder ? std::to_string(dense_width(dense, encoder->hidden)) : dense;
}

Lines input_lines(const ConfigView& config) {
  Lines lines = {"Texts"};
  for (const TaskConfig& task : config.tasks) {
    if (!config.has_head(task.name)) continue;
    const std::string_view what = !task.is_pair()          ? "one text"
                                  : task.encode == "joint" ? "two texts in one sequence"
                                                           : "two texts, one after the other";
    lines.push_back(fmt::format("{}: {}", task.name, what));
  }
  return lines;
}

/// What a head reads, and how many times as wide as a sentence vector that is.
struct HeadInput {
  std::string_view text;
  std::int64_t parts;
};
HeadInput head_input(const TaskConfig& task) {
  if (!task.is_pair() || task.encode == "joint") return {"x", 1};
  if (task.head_features == "comparison") return {"|u − v|; u v", 2};
  const bool difference = task.head_features == "difference" || (task.head_features != "concat" && task.is_regression());
  return difference ? HeadInput{"u; v; |u − v|", 3} : HeadInput{"u; v", 2};
}

Lines head_lines(const TaskConfig& task, const std::optional<EncoderSizes>& encoder) {
  const std::string vector = task.pool == "cls" ? "[CLS]" : task.pool;
  Lines lines = {task.name, fmt::format("{}, dropout {:g}", vector, task.dropout)};
  if (task.head_kind == "cosine") {
    lines.emplace_back("cosine of u and v");
  } else {
    const HeadInput input = head_input(task);
    std::string width = width_text(input.parts, encoder);
    lines.push_back(fmt::format("{}: {}", input.text, width));
    for (const std::string& dense : task.dense) {
      const std::string next = width_text(dense, encoder);
      lines.push_back(fmt::format("{} → {}, GELU", width, next));
      width = next;
    }
    lines.push_back(fmt::format("{} → {}", width,
                                task.classes > 2 || task.type == "multi_label" ? std::to_string(task.classes)
                                : task.is_regression() || task.classes == 2    ? "1"
                                                                               : "K"));
  }
  if (task.is_regression())
    lines.push_back(std::isfinite(task.low) ? fmt::format("a number, {:g} to {:g}", task.low, task.high) : "a number");
  else
    lines.push_back(task.classes == 0 ? "classes" : fmt::format("{} classes", task.classes));
  return lines;
}

Lines masked_lines(const StageConfig& stage, const std::optional<EncoderSizes>& encoder) {
  const bool tied = setting(stage.values, "mlm.head") != "linear";
  Lines lines = {"masked words", "each masked token", tied ? "dense, GELU, norm" : "linear, no bias",
                 encoder ? fmt::format("{} → {}", encoder->hidden, encoder->vocabulary) : "H → words"};
  if (tied) lines.emplace_back("tied to embeddings");
  return lines;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

/// Draws the encoder's layers as a stack of cards; moves y below it.
Html encoder_stack(const std::optional<EncoderSizes>& encoder, double& y) {
  const Lines name = {encoder ? fmt::format("{} encoder layers", encoder->layers) : "Encoder layers"};
  const Lines attention = {"Multi-head attention",
                           encoder ? fmt::format("{} heads, dropout {:g}", encoder->heads, encoder->attention_dropout) : ""};
  const Lines feed = {"Feed-forward",
                      encoder ? fmt::format("{} → {} → {}, GELU", encoder->hidden, encoder->intermediate, encoder->hidden) : "GELU"};
  const Lines norm = {"Add & norm"};
  const double inner = kDiagramWidth - 44, height = box_height(attention) + 2 * box_height(norm) + box_height(feed) + 3 * 5 + 34;
  Html html;
  for (const double shift : {8.0, 4.0, 0.0}) html += box(shift, y + shift, kDiagramWidth - 10, height, shift == 0 ? name : Lines());
  double top = y + 26;
  for (const Lines& lines : {attention, norm, feed, norm}) {
    html += box(17, top, inner, box_height(lines), lines);
    top += box_height(lines) + 5;
  }
  y += height + 8;
  return html;
}

/// Draws boxes in up to three columns, with arrows from y to them; moves y below them.
Html head_boxes(const std::vector<Lines>& heads, double& y) {
  const bool several = heads.size() > kColumns;
  const double left = several ? 12 : 1;
  const double width = (kDiagramWidth - left - 1 - 2 * kGap) / 3;
  Html html;
  const double bus = y + kArrow / 2;
  html += edge(fmt::format("M{} {}V{}", at(kDiagramWidth / 2), at(y), at(bus)));
  for (std::size_t begin = 0; begin < heads.size(); begin += kColumns) {
    const std::size_t count = std::min(kColumns, heads.size() - begin);
    const double start = several || count == kColumns ? left : (kDiagramWidth - static_cast<double>(count) * (width + kGap) + kGap) / 2;
    const double line = begin == 0 ? bus : y + kArrow / 2, top = line + kArrow / 2 + 4;
    double height = 0;
    for (std::size_t i = begin; i < begin + count; ++i) height = std::max(height, box_height(heads[i]));
    const auto middle = [&](std::size_t i) { return start + static_cast<double>(i) * (width + kGap) + width / 2; };
    html += edge(fmt::format("M{} {}H{}", at(several ? 4 : std::min(middle(0), kDiagramWidth / 2)), at(line),
                             at(std::max(middle(count - 1), begin == 0 ? kDiagramWidth / 2 : 0))));
    if (begin > 0) html += edge(fmt::format("M4 {}V{}", at(bus), at(line)));
    for (std::size_t i = 0; i < count; ++i) {
      html += arrow(middle(i), line, top);
      html += box(middle(i) - width / 2, top, width, height, heads[begin + i], "box end");
    }
    y = top + height;
  }
  return html;
}

struct Node {
  Lines lines;
  std::size_t parent = 0;  ///< a root is its own parent
  std::vector<std::size_t> children = {};
  bool end = false;  ///< the last stage of a model
};

Lines stage_lines(const StageConfig& stage) {
  const auto value = [&](std::string_view key) { return setting(stage.values, key); };
  const std::string tasks = list_text(stage.tasks, kMostNames),
                    rate = value("head_lr").empty() || stage.kind == "heads" ? "" : ", heads " + value("head_lr");
  Lines lines = {"stage " + stage.name};
  if (stage.from.size() > 1) lines.push_back("from the mean weights of " + list_text(stage.from, kMostNames));
  if (!stage.has_epochs()) return lines;
  if (stage.is_mlm())
    lines.push_back("masked words of " + list_text(stage.texts, kMostNames));
  else if (stage.reads_texts())
    lines.push_back("texts that belong together: " + list_text(stage.texts, kMostNames));
  else
    lines.push_back((stage.kind == "heads" ? "heads alone, encoder frozen: " : "encoder and heads: ") + tasks);
  lines.push_back(fmt::format("{} {}, batch {}, rate {}{}", value("epochs"), value("epochs") == "1" ? "epoch" : "epochs", value("batch"),
                              stage.kind == "heads" && !value("head_lr").empty() ? value("head_lr") : value("lr"), rate));
  if (!stage.is_mlm() && stage.tasks.size() > 1) lines.back() += ", " + value("sampler");
  return lines;
}

/// The stages of all rows, each once.
class StageTree {
 public:
  explicit StageTree(const std::vector<ModelRow>& rows) : rows_(&rows) {
    for (const ModelRow& row : rows)
      if (row.first() != nullptr && !row.first()->config.stages.empty()) add(row, *row.first());
  }

  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  const ModelRow* find(const std::string& name) const {
    const auto found = std::ranges::find(*rows_, name, &ModelRow::name);
    return found == rows_->end() ? nullptr : &*found;
  }

  /// The name of the row that trained a row's stage.
  std::string owner(const ModelRow& row, const std::string& stage) const {
    const ModelRow* at = &row;
    for (std::size_t hops = 0; hops < rows_->size(); ++hops) {
      const auto from = at->shared.find(stage);
      const ModelRow* next = from == at->shared.end() ? nullptr : find(from->second);
      if (next == nullptr) break;
      at = next;
    }
    return at->name;
  }

  std::size_t node(const std::string& key, std::size_t parent, const Lines& lines) {
    const auto [found, is_new] = index_.try_emplace(key, nodes_.size());
    if (is_new) {
      nodes_.push_back({.lines = lines, .parent = parent == kRoot ? nodes_.size() : parent});
      if (parent != kRoot) nodes_[parent].children.push_back(found->second);
    }
    return found->second;
  }

  void add(const ModelRow& row, const RunData& run) {
    const std::string init = run.config.init_name();
    const std::size_t root = node("init " + run.config.init, kRoot, {"start: " + (init.empty() ? "?" : init)});
    std::size_t last = root;
    std::map<std::string, std::size_t> done;
    for (const StageConfig& stage : run.config.stages) {
      const auto named = done.find(stage.from.back());
      const std::size_t parent = stage.from.back() == "init" ? root : named != done.end() ? named->second : last;
      last = done[stage.name] = node(owner(row, stage.name) + " " + stage.name, parent, stage_lines(stage));
    }
    Node& end = nodes_[last];
    end.end = true;
    if (rows_->size() > 1) {
      const Spread mean = scores_of(row, "");
      end.lines.insert(end.lines.begin(), row.title + (mean.count > 0 ? fmt::format(": mean {:.4f}", mean.mean) : ""));
    }
  }

  static constexpr std::size_t kRoot = static_cast<std::size_t>(-1);
  const std::vector<ModelRow>* rows_;
  std::vector<Node> nodes_;
  std::map<std::string, std::size_t> index_;
};

/// Draws each node with its children below it.
class TreeDrawing {
 public:
  explicit TreeDrawing(const std::vector<Node>& nodes) : nodes_(&nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (nodes[i].parent == i) draw(i, 0);
  }
  Html html, after;
  std::string text;
  double y = 1;
  std::size_t drawn = 0;

 private:
  void draw(std::size_t i, double indent) {
    if (drawn == kMostNodes) return;
    ++drawn;
    const Node& node = (*nodes_)[i];
    const double height = box_height(node.lines), bottom = y + height;
    html += box(indent + 1, y, kDiagramWidth - indent - 2, height, node.lines, node.end ? "box end" : "box");
    text += (text.empty() ? "" : ". ") + joined(node.lines);
    y = bottom + kArrow;
    const bool branches = node.children.size() > 1;
    double last = bottom;
    for (const std::size_t child : node.children) {
      if (drawn == kMostNodes) break;
      if (branches) {
        const double x = indent + 9, middle = y + kPadding + 5;
        html += edge(fmt::format("M{} {}V{}H{}", at(x), at(last), at(middle), at(indent + kIndent - 4)));
        html += element("path", {{"class", "tip"}, {"d", fmt::format("M{} {}v7l5 -3.5z", at(indent + kIndent - 5), at(middle - 3.5))}});
        last = middle;
      } else {
        html += arrow(indent + 24, bottom, y);
      }
      draw(child, branches ? indent + kIndent : indent);
    }
  }

  const std::vector<Node>* nodes_;
};

}  // namespace

Html architecture_diagram(const RunData& run, const std::string& id) {
  std::vector<Lines> heads;
  for (const TaskConfig& task : run.config.tasks)
    if (run.config.has_head(task.name)) heads.push_back(head_lines(task, run.encoder));
  const auto mlm = std::ranges::find_if(run.config.stages, &StageConfig::is_mlm);
  if (mlm != run.config.stages.end()) heads.push_back(masked_lines(*mlm, run.encoder));
  if (heads.empty()) return {};
  const Lines input = input_lines(run.config);
  const Lines embeddings = {"Embeddings: words + positions + segments",
                            run.encoder ? fmt::format("{} words, {} wide; layer norm, dropout {:g}", count_text(run.encoder->vocabulary),
                                                      run.encoder->hidden, run.encoder->hidden_dropout)
                                        : "layer norm, dropout"};
  double y = 1;
  Html content;
  for (const Lines& lines : {input, embeddings}) {
    if (lines.size() == 1) continue;  // not a task, only texts for masked words
    content += box(1, y, kDiagramWidth - 2, box_height(lines), lines);
    y += box_height(lines);
    content += arrow(kDiagramWidth / 2, y, y + kArrow);
    y += kArrow;
  }
  content += encoder_stack(run.encoder, y);
  content += head_boxes(heads, y);
  std::string description = joined(input) + ". " + joined(embeddings) + ". " +
                            (run.encoder ? fmt::format("{} encoder layers of {} heads, feed-forward {} wide.", run.encoder->layers,
                                                       run.encoder->heads, run.encoder->intermediate)
                                         : "Encoder layers.");
  for (const Lines& lines : heads) description += fmt::format(" Head {}.", joined(lines));
  return drawing(id, y + 2, "Architecture", description, content);
}

Html flow_diagram(const std::vector<ModelRow>& rows, const std::string& id) {
  const StageTree tree(rows);
  if (tree.nodes().empty()) return {};
  const TreeDrawing drawn(tree.nodes());
  double height = drawn.y - kArrow + 2;
  Html content = drawn.html;
  if (drawn.drawn < tree.nodes().size()) {
    height += kLine + 4;
    content += element("text", {{"x", "1"}, {"y", at(height - 5)}}, fmt::format("and {} more stages", tree.nodes().size() - drawn.drawn));
  }
  return drawing(id, height, "Flow of stages", drawn.text, content);
}

}  // namespace minbert
