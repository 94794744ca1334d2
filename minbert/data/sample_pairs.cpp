// Draws pairs of sentences about everyday events: paraphrases and graded similarity.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "minbert/data/sample_frames.h"
#include "minbert/data/sample_tasks.h"
#include "minbert/data/sample_text.h"

namespace minbert {
namespace {

/// A frame with its slots filled: for each slot the meaning and the phrase that expresses it.
struct Event {
  const SampleFrame* frame;
  std::vector<std::string_view> meanings, phrases;

  std::size_t size() const { return meanings.size(); }
};

const SampleFrame& draw_frame(Rng& rng) {
  const auto& frames = sample_frames();
  const auto total = std::accumulate(frames.begin(), frames.end(), 0, [](int sum, const SampleFrame& f) { return sum + f.share; });
  auto ticket = static_cast<int>(rng.below(static_cast<std::uint64_t>(total)));
  auto frame = frames.begin();
  while (ticket >= frame->share) ticket -= frame++->share;
  return *frame;
}

// Fills a slot with a meaning that neither the slot nor the one it could be exchanged with has yet.
void refill(Event& event, std::size_t slot, Rng& rng) {
  std::string_view meaning;
  do meaning = draw(event.frame->slots[slot].meanings, rng);
  while (std::ranges::find(event.meanings, meaning) != event.meanings.end());
  event.meanings[slot] = meaning;
  event.phrases[slot] = draw_part(meaning, rng);
}

void rephrase(Event& event, std::size_t slot, Rng& rng) {
  const std::string_view before = event.phrases[slot];
  while (event.phrases[slot] == before) event.phrases[slot] = draw_part(event.meanings[slot], rng);
}

Event draw_event(const SampleFrame& frame, Rng& rng) {
  const std::size_t slots = frame.slots.size();
  Event event{&frame, std::vector<std::string_view>(slots), std::vector<std::string_view>(slots)};
  for (std::size_t slot = 0; slot < slots; ++slot) refill(event, slot, rng);
  return event;
}

// The slots of an event in random order.
std::vector<std::size_t> shuffled_slots(const Event& event, Rng& rng) {
  std::vector<std::size_t> slots(event.size());
  std::iota(slots.begin(), slots.end(), std::size_t{0});
  rng.shuffle(std::span(slots));
  return slots;
}

std::string sentence(const Event& event, Rng& rng) {
  const auto phrase = [&](std::string_view name) {
    const bool second_form = name.ends_with('+');
    name = name.substr(0, name.size() - second_form);
    const auto slot = std::ranges::find(event.frame->slots, name, &SampleSlot::name) - event.frame->slots.begin();
    const std::string_view forms = event.phrases.at(static_cast<std::size_t>(slot));
    const std::size_t slash = std::min(forms.find('/'), forms.size());
    return std::string(second_form && slash < forms.size() ? forms.substr(slash + 1) : forms.substr(0, slash));
  };
  return capitalised(expand(draw(std::span(event.frame->patterns), rng), rng, phrase));
}

double weight(const Event& event, std::size_t slot) { return event.frame->slots[slot].weight; }

}  // namespace

SampleExample draw_paraphrase(Rng& rng) {
  const bool same = rng.below(2) == 1;
  const Event first = draw_event(draw_frame(rng), rng);
  Event second = first;
  auto edited = shuffled_slots(first, rng);
  edited.resize(std::min(edited.size(), std::size_t{2} + rng.below(3)));
  for (const std::size_t slot : edited) rephrase(second, slot, rng);
  if (!same && first.frame->swaps && rng.below(2) == 0) {
    std::swap(second.meanings[0], second.meanings[1]);
    std::swap(second.phrases[0], second.phrases[1]);
  } else if (!same) {
    if (rng.below(4) == 0) edited.resize(1);
    for (const std::size_t slot : edited) refill(second, slot, rng);
  }
  return {sentence(first, rng), sentence(second, rng), same ? "1" : "0"};
}

SampleExample draw_similarity(Rng& rng) {
  const Event first = draw_event(draw_frame(rng), rng);
  if (rng.below(7) == 0) {
    const SampleFrame* other = first.frame;
    while (other == first.frame) other = &draw_frame(rng);
    const Event second = draw_event(*other, rng);
    const auto shared = std::ranges::count_if(
        first.meanings, [&](std::string_view m) { return std::ranges::find(second.meanings, m) != second.meanings.end(); });
    return {sentence(first, rng), sentence(second, rng), fmt::format("{:.1f}", std::min(0.5 * static_cast<double>(shared), 1.0))};
  }
  Event second = first;
  const auto slots = shuffled_slots(first, rng);
  const std::size_t differing = rng.below(slots.size() + 1);
  double kept = 0, total = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    total += weight(first, slots[i]);
    if (i < differing) {
      refill(second, slots[i], rng);
    } else {
      kept += weight(first, slots[i]);
      if (rng.below(2) == 0) rephrase(second, slots[i], rng);
    }
  }
  return {sentence(first, rng), sentence(second, rng), fmt::format("{:.1f}", 1 + 4 * kept / total)};
}

}  // namespace minbert
