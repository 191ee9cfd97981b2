package status

import (
	"fmt"
	"slices"
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/raftnode"
)

// Bounds of the rules.
const (
	// clockSkew is how far clocks may be apart; an answer takes 2 s at most.
	clockSkew = 2 * time.Minute
	// settleIn is how long after a start missing bytes are not yet told: they are being counted.
	settleIn = 5 * time.Minute
	// A disk is full below FullBytes, and nearly so below a tenth or lowBytes, whatever is less.
	lowBytes = 10 << 30
)

// one is the only finding, about pairs of names and texts.
func one(pairs ...string) []finding { return []finding{about(pairs...)} }

func about(pairs ...string) finding {
	f := finding{about: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.about[pairs[i]] = pairs[i+1]
	}
	return f
}

// aboutBox is a finding about a box: box, house, keeper, and further pairs.
func (s *scene) aboutBox(id ident.BoxID, pairs ...string) finding {
	b, ok := s.tally.boxes[id]
	if !ok {
		b.Name = s.Words.Say("a-box")
	}
	keeper := s.Words.Say("keeper-of", "box", b.Name)
	if b.Keeper != "" {
		keeper = s.Words.Say("keeper-who", "keeper", b.Keeper, "box", b.Name)
	}
	return about(append([]string{"box", b.Name, "house", s.tally.houseName(b.House), "keeper", keeper}, pairs...)...)
}

// which are the spaces of the report that a rule is about.
func (s *scene) which(rule func(Space) bool) (list []Space) {
	for _, sp := range s.report.Spaces {
		if rule(sp) {
			list = append(list, sp)
		}
	}
	return list
}

func (s *scene) several() bool { return len(s.Circle.Houses) > 1 }

// alone reports whether this house reaches no other.
func (s *scene) alone() bool {
	return s.several() && len(s.tally.awayHouses()) == len(s.Circle.Houses)-1
}

func findAlone(s *scene) []finding {
	if !s.alone() {
		return nil
	}
	return one("house", s.report.House)
}

func findAway(s *scene) (list []finding) {
	for _, h := range s.report.Houses {
		if _, long := s.longAway(h); h.Reached.How != Away || long {
			continue
		}
		var keepers []string
		for _, b := range h.Boxes {
			if b.Keeper != "" && !slices.Contains(keepers, b.Keeper) {
				keepers = append(keepers, b.Keeper)
			}
		}
		since := s.Words.Say("brief.start")
		if !h.Reached.Since.IsZero() {
			since = s.Words.When(h.Reached.Since, s.Now)
		}
		help := s.Words.Say("whoever-lives-there")
		if len(keepers) > 0 {
			help = s.Words.Say("keepers-or", "keepers", s.Words.List(keepers), "house", h.Name)
		}
		f := about("house", h.Name, "since", since, "keepers", help)
		f.since = h.Reached.Since
		list = append(list, f)
	}
	return list
}

func findOneHouse(s *scene) []finding {
	if s.several() {
		return nil
	}
	return one("house", orElse(s.report.House, s.Words.Say("this-one")))
}

func findFewHouses(s *scene) []finding {
	wanted := 0
	for _, sp := range s.report.Spaces {
		wanted = max(wanted, sp.Wanted)
	}
	if !s.several() || wanted <= len(s.Circle.Houses) {
		return nil
	}
	return one("copies", s.Words.Number(wanted), "houses", s.Words.Number(len(s.Circle.Houses)))
}

func findApart(s *scene) []finding {
	if list := s.which(func(sp Space) bool { return sp.Apart }); len(list) > 0 && !s.alone() {
		away := ""
		if names := s.tally.awayHouses(); len(names) > 0 {
			away = s.Words.Say("which-are", "names", s.Words.List(names))
		}
		return one("spaces", spacesWords(s.Words, list), "away", away)
	}
	return nil
}

func findWaiting(s *scene) []finding {
	list := s.which(func(sp Space) bool { return sp.Waiting > 0 })
	if len(list) == 0 {
		return nil
	}
	n := 0
	for _, sp := range list {
		n += sp.Waiting
	}
	return one("spaces", s.Words.Say("of-is", "n", n, "spaces", spacesWords(s.Words, list)), "changes", s.Words.Count(n, "change"))
}

// findGrowing tells of copies that houses in reach do not have yet.
func findGrowing(s *scene) []finding {
	var where, details []string
	list := s.which(func(sp Space) bool {
		here := 0
		for _, l := range sp.Late {
			if l.Away {
				here++ // it is told as a house that is away
				continue
			}
			if !slices.Contains(where, l.House) {
				where = append(where, l.House)
			}
			details = append(details, fmt.Sprintf("%s at %s: %d behind, bytes missing: %v", sp.Title, l.Box, l.Behind, l.Bytes))
		}
		return sp.Known && (here < len(sp.Late) || len(sp.Houses)+here < sp.Possible)
	})
	if len(list) == 0 {
		return nil
	}
	text := ""
	if slices.SortFunc(where, byName); len(where) > 0 {
		text = " " + s.Words.Say("at-houses", "houses", s.Words.List(where))
	}
	f := about("spaces", spacesWords(s.Words, list), "where", text)
	f.details = details
	return []finding{f}
}

// findFresh tells of copies that are there and have no say yet. Those that are still
// being made, or away, are told otherwise.
func findFresh(s *scene) []finding {
	list := s.which(func(sp Space) bool {
		return sp.Known && sp.Deciding < sp.Deciders && len(sp.Late) == 0
	})
	if len(list) == 0 {
		return nil
	}
	return one("spaces", spacesWords(s.Words, list))
}

func findUnheard(s *scene) []finding {
	if list := s.which(func(sp Space) bool { return !sp.Known && !sp.Apart }); len(list) > 0 && !s.alone() {
		return one("spaces", spacesWords(s.Words, list))
	}
	return nil
}

func findBytesMissing(s *scene) []finding {
	if s.Now.Sub(s.Started) < settleIn {
		return nil
	}
	list := s.which(func(sp Space) bool {
		return sp.Known && sp.Copies == 0 && slices.ContainsFunc(sp.Late, func(l Late) bool { return l.Bytes })
	})
	if len(list) == 0 {
		return nil
	}
	away := ""
	if names := s.tally.awayHouses(); len(names) > 0 {
		away = " " + s.Words.Say("away-now", "names", s.Words.List(names))
	}
	return one("spaces", spacesWords(s.Words, list), "away", away)
}

func findPetitions(s *scene) (list []finding) {
	for _, p := range s.Circle.Petitions {
		replacement := ""
		if p.Replacement != "" {
			replacement = " " + s.Words.Say("and-takes-place", "box", p.Replacement)
		}
		fate := s.Words.Say("fate-gone")
		if p.Stolen {
			fate = s.Words.Say("fate-stolen")
		}
		f := about("box", p.Box, "fate", fate, "replacement", replacement, "needs", s.Words.Say("more-keepers", "n", p.Needs, "number", words.Capital(s.Words.Number(p.Needs))),
			"since", s.Words.ShortDate(p.Since.In(s.Now.Location())))
		f.since = p.Since
		list = append(list, f)
	}
	return list
}

// stolenTold is for how long a stolen box is spoken of.
const stolenTold = 30 * 24 * time.Hour

// findStolen says of a stolen box what whoever has it can do, and what is left to do.
func findStolen(s *scene) (list []finding) {
	for _, t := range s.Circle.Stolen {
		if s.Now.Sub(t.Since) >= stolenTold {
			continue
		}
		f := about("place", placeWords(s.Words, t.Box, t.House), "since", s.Words.ShortDate(t.Since.In(s.Now.Location())))
		f.since = t.Since
		list = append(list, f)
	}
	return list
}

// perBox gathers, box by box, the spaces whose shard status obeys a rule.
func (s *scene) perBox(rule func(raftnode.ShardStatus) (detail string, ok bool)) (list []finding) {
	for _, st := range s.Boxes {
		var details []string
		spaces := s.which(func(sp Space) bool {
			i := slices.IndexFunc(st.Shards, func(sh raftnode.ShardStatus) bool { return sh.Shard == sp.ID })
			if i < 0 {
				return false
			}
			detail, ok := rule(st.Shards[i])
			if ok {
				details = append(details, sp.ID.String()+": "+detail)
			}
			return ok
		})
		if len(spaces) > 0 {
			f := s.aboutBox(st.Box, "spaces", spacesWords(s.Words, spaces))
			f.details = details
			list = append(list, f)
		}
	}
	return list
}

func findDisk(full bool) func(*scene) []finding {
	return func(s *scene) []finding {
		d := s.Disk
		isFull := d.Free < FullBytes
		isLow := d.Free < min(d.Total/10, lowBytes)
		if d.Total == 0 || full != isFull || !isFull && !isLow {
			return nil
		}
		return []finding{s.aboutBox(s.Self, "free", s.Words.Bytes(d.Free), "total", s.Words.Bytes(d.Total))}
	}
}

// findClock tells of boxes whose clock differs from most others'.
func findClock(s *scene) (list []finding) {
	own := s.tally.answers[s.Self]
	var off []ident.BoxID
	for _, st := range s.Boxes {
		if d := time.Duration(st.Time-own.Time) * time.Millisecond; own.Time != 0 && d.Abs() > clockSkew {
			off = append(off, st.Box)
		}
	}
	tell := func(box ident.BoxID, others string, by int64) {
		list = append(list, s.aboutBox(box, "others", others, "by", s.Words.Span(time.Duration(by)*time.Millisecond)))
	}
	if len(off) > 1 && len(off) == len(s.Boxes)-1 { // then it is ours that is wrong
		tell(s.Self, s.Words.Say("the-others"), s.tally.answers[off[0]].Time-own.Time)
		return list
	}
	for _, box := range off {
		tell(box, orElse(s.report.Box, s.Words.Say("this-box")), s.tally.answers[box].Time-own.Time)
	}
	return list
}

func findOutside(s *scene) []finding {
	if away := s.tally.awayHouses(); !s.Outside && len(away) > 0 {
		return one("away", s.Words.List(away))
	}
	return nil
}

func findGivenUp(s *scene) []finding {
	if s.Outcast == nil {
		return nil
	}
	f := s.aboutBox(s.Self, "since", s.Words.Date(s.Outcast.Since.In(s.Now.Location())), "at", s.Outcast.At)
	f.since = s.Outcast.Since
	return []finding{f}
}

// findParted tells of two sides that each went on alone; picked: when somebody said
// which of them goes on.
func findParted(picked bool) func(*scene) []finding {
	return func(s *scene) []finding {
		p := s.Parted
		if p == nil || picked != (p.Picked != "") {
			return nil
		}
		f := about("here", s.Words.List(p.Here), "there", s.Words.List(p.There), "since", s.Words.When(p.Since, s.Now), "picked", p.Picked,
			"one", slices.Concat(p.Here, []string{"HOUSE"})[0])
		f.since = p.Since
		return []finding{f}
	}
}

func findReturned(s *scene) (list []finding) {
	for _, r := range s.Returns {
		f := about("box", r.Box, "house", r.House, "since", s.Words.When(r.Since, s.Now))
		f.since = r.Since
		list = append(list, f)
	}
	return list
}

// Neighbours are the boxes that this one reaches on its own network, though they are
// said to stand in other houses, and nobody has answered for them yet.
func (f Facts) Neighbours() (list []BoxFacts) {
	var self BoxFacts
	for _, b := range f.Circle.Boxes {
		if b.ID == f.Self {
			self = b
		}
	}
	for _, b := range f.Circle.Boxes {
		if b.House != self.House && slices.Contains(f.Near, b.ID) && !slices.Contains(self.Elsewhere, b.ID) {
			list = append(list, b)
		}
	}
	return list
}

func findSameHouse(s *scene) (list []finding) {
	for _, b := range s.Neighbours() {
		list = append(list, about("box", b.Name, "house", s.tally.houseName(b.House), "here", orElse(s.report.House, s.Words.Say("reached.here")), "mine", orElse(s.report.Box, s.Words.Say("this-box"))))
	}
	return list
}
