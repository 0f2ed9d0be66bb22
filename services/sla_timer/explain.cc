#include "services/sla_timer/explain.h"

#include <algorithm>
#include <utility>

namespace tandem::sla_timer {
namespace {

const char* Why(PieceKind kind) {
  switch (kind) {
    case PieceKind::kPending:
      return "paused: PENDING";
    case PieceKind::kOnHold:
      return "paused: ON_HOLD";
    case PieceKind::kResolved:
      return "resolved";
    case PieceKind::kCancelled:
      return "cancelled";
    case PieceKind::kNoTarget:
      return "no_target";
    case PieceKind::kRunning:
      break;
  }
  return "open";
}

// Where the last piece ends: a running clock is explained up to its due instant, in advance.
absl::Time EndOf(const Cycle& cycle, absl::Time now) {
  if (!cycle.IsLive()) return cycle.since;
  if (cycle.phase == Phase::kPaused || cycle.breached_at) return std::max(now, cycle.since);
  const absl::Time due = cycle.Due(now);
  return due == absl::InfiniteFuture() ? std::max(now, cycle.since) : std::max(due, cycle.since);
}

}  // namespace

absl::StatusOr<Explanation> Explain(const Cycle& cycle, absl::Time now) {
  Explanation explanation;
  absl::Duration left = cycle.leg.target != nullptr ? cycle.leg.budget : absl::ZeroDuration();
  auto add = [&](ClockPiece piece) {
    if (piece.from >= piece.to) return;
    if (piece.from < now && now < piece.to) {
      ClockPiece later = piece;
      piece.to = later.from = now;
      later.expected = true;
      if (piece.counted) explanation.counted += piece.to - piece.from;
      explanation.pieces.push_back(std::move(piece));
      piece = std::move(later);
    }
    piece.expected = piece.from >= now;
    if (piece.counted) explanation.counted += piece.to - piece.from;
    explanation.pieces.push_back(std::move(piece));
  };
  std::vector<Piece> pieces = cycle.pieces;
  const absl::Time end = EndOf(cycle, now);
  pieces.push_back({cycle.since, end, cycle.kind, cycle.fact, cycle.leg});
  if (cycle.phase == Phase::kPaused && !cycle.breached_at) {
    // The due instant that is told of it is that of going on now; of one that a first
    // classification found passed, of then.
    const absl::Time due = cycle.Due(now);
    if (due > end && due < absl::InfiniteFuture()) {
      pieces.push_back({end, due, PieceKind::kRunning, cycle.fact, cycle.leg});
    }
  }
  for (const Piece& piece : pieces) {
    if (piece.kind != PieceKind::kRunning || piece.leg.target == nullptr) {
      add({piece.from, piece.to, false,
           piece.kind == PieceKind::kRunning ? Why(PieceKind::kNoTarget) : Why(piece.kind),
           piece.fact, "", piece.leg});
      continue;
    }
    const auto segments = piece.leg.target->hours.Segments(piece.from, piece.to);
    if (!segments.ok()) return segments.status();
    for (const calendar::Segment& segment : *segments) {
      if (!segment.is_open) {
        add({segment.from, segment.to, false, "closed", piece.fact, segment.rule, piece.leg});
        continue;
      }
      // What comes after the budget is overshoot.
      const absl::Time within = segment.from + std::min(left, segment.to - segment.from);
      left -= within - segment.from;
      add({segment.from, within, true, "open", piece.fact, segment.rule, piece.leg});
      add({within, segment.to, false, "overdue", piece.fact, segment.rule, piece.leg});
    }
  }
  return explanation;
}

}  // namespace tandem::sla_timer
