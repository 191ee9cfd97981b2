package status

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name     string
		facts    func() Facts
		want     Verdict
		sentence string
	}{
		{"three houses, all complete", func() Facts { return whole(3) }, Yes, "Everything is complete in three houses"},
		{"two houses, all complete", func() Facts { return whole(2) }, Yes, "two houses: Oak Street and Mill Lane"},
		{"one house", func() Facts { return whole(1) }, NotYet, "one house only"},
		{"one of three away", func() Facts { return away(whole(3), 2) }, NotYet, "Mill Lane has not been in reach since 10:00"},
		{"one of two away", func() Facts { return away(whole(2), 2) }, No, "No other house is in reach"},
		{"a copy is behind", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Members[1].Behind = 4 }) }, NotYet, "still being made at Mill Lane"},
		{"a copy owes bytes", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Members[2].Owes = true }) }, NotYet, "at Hill Farm"},
		{"a copy is not there yet", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Members = s.Members[:2] }) }, NotYet, "still being made"},
		{"a write waits", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Pending, s.Journaled = 2, 1 }) }, NotYet, "1 change to"},
		{"a write moves", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Pending = 2 }) }, Yes, ""},
		{"nobody leads", func() Facts { return edit(func(s *raftnode.ShardStatus) { s.Leads = false }) }, NotYet, "could say"},
		{"two boxes in one house are one house", func() Facts {
			f := whole(3)
			f.Circle.Boxes[2].House, f.Circle.Houses = houseID(2), f.Circle.Houses[:2]
			f.Boxes[0].Shards[1].Members[0].Owes = true
			return f
		}, NotYet, "Copies of"},
	} {
		got := Build(tc.facts())
		if got.Safe != tc.want || !strings.Contains(got.Sentence, tc.sentence) {
			t.Errorf("%s: %q, %q; want %q, …%s…", tc.name, got.Safe, got.Sentence, tc.want, tc.sentence)
		}
	}
}

// edit is three houses with one thing changed at the leader of ada's files.
func edit(change func(*raftnode.ShardStatus)) Facts {
	f := whole(3)
	change(&f.Boxes[0].Shards[1])
	return f
}

// TestYesMeansComplete: whatever the facts, yes is said only of complete copies in
// as many houses as possible, two at least, while nothing waits.
func TestYesMeansComplete(t *testing.T) {
	yes := 0
	f := whole(3)
	for bits := range 1 << 12 {
		for s := range f.Boxes[0].Shards {
			for m := range f.Boxes[0].Shards[s].Members {
				i := 2 * (3*s + m)
				f.Boxes[0].Shards[s].Members[m].Owes = bits>>i&1 == 1
				f.Boxes[0].Shards[s].Members[m].Alive = m == 0 || bits>>(i+1)&1 == 0
			}
		}
		r := Build(f)
		if r.Safe != Yes {
			continue
		}
		yes++
		for _, s := range r.Spaces {
			if len(s.Houses) != 3 || s.Waiting > 0 {
				t.Fatalf("bits %b: yes with %d houses", bits, len(s.Houses))
			}
		}
	}
	if yes == 0 {
		t.Error("never yes")
	}
}

func TestReachedInWords(t *testing.T) {
	f := away(whole(4), 4)
	f.Links[1] = p2p.Link{Box: boxID(3), State: p2p.Relayed, Via: boxID(2), Since: noon.Add(-time.Minute)}
	r := Build(f)
	var got []string
	for _, h := range r.Houses {
		got = append(got, h.Name+": "+h.Reached.Words)
	}
	want := []string{"Oak Street: this house", "Hill Farm: through box 2", "Mill Lane: direct", "Quay: not since 10:00"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if q := r.Houses[3].Boxes[0]; q.Known || !q.LastSeen.Equal(noon) { // the others hear it still
		t.Errorf("known %v, last seen %v", q.Known, q.LastSeen)
	}
}

// TestHousesThatDecide: each of two, an odd number of more, at most five; and yes only then.
func TestHousesThatDecide(t *testing.T) {
	for houses, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3} {
		f := whole(houses)
		for s := range f.Boxes[0].Shards {
			for m := range f.Boxes[0].Shards[s].Members {
				f.Boxes[0].Shards[s].Members[m].Voter = m < want
			}
		}
		r := Build(f)
		if sp := r.Spaces[0]; sp.Deciding != want || sp.Deciders != want || houses > 1 && r.Safe != Yes {
			t.Errorf("%d houses: %d of %d decide, safe: %s", houses, sp.Deciding, sp.Deciders, r.Safe)
		}
		f.Boxes[0].Shards[0].Members[want-1].Voter = false
		if r := Build(f); r.Safe == Yes {
			t.Errorf("%d houses: yes with %d that decide", houses, want-1)
		}
	}
}

// faultScenes makes each fault of the table happen.
func faultScenes() map[Code]Facts {
	waits, salvaged := away(whole(2), 2), whole(1)
	waits.Boxes[0].Shards[1].Failed = raftnode.ErrLogLost.Error()
	salvaged.Boxes[0].Shards[1].Mended, salvaged.Boxes[0].Shards[1].Renumbered, salvaged.Boxes[0].Shards[1].Salvaged = 1, 1, 1
	f := map[Code]Facts{
		CodeAlone:     away(whole(2), 2),
		CodeHouseAway: away(whole(3), 2),
		CodeOneHouse:  whole(1),
		CodeFewHouses: whole(2),
		CodeApart: edit(func(s *raftnode.ShardStatus) {
			s.Leads, s.Apart = false, true
		}),
		CodeWaiting:        edit(func(s *raftnode.ShardStatus) { s.Pending, s.Journaled = 3, 3 }),
		CodeGrowing:        edit(func(s *raftnode.ShardStatus) { s.Members[1].Behind, s.Members[2].Owes = 12, true }),
		CodeFresh:          edit(func(s *raftnode.ShardStatus) { s.Members[2].Voter = false }),
		CodeUnheard:        edit(func(s *raftnode.ShardStatus) { s.Leads = false }),
		CodeStoppedNewer:   edit(func(s *raftnode.ShardStatus) { s.Failed = "entry 9: directory: command of an unknown kind" }),
		CodeStoppedDamaged: edit(func(s *raftnode.ShardStatus) { s.Failed = raftnode.ErrStateDamaged.Error() }),
		CodeLogDamaged:     edit(func(s *raftnode.ShardStatus) { s.Failed = raftnode.ErrLogLost.Error() }),
		CodeLogWaits:       waits,
		CodeLogSalvaged:    salvaged,
		CodeStopped:        edit(func(s *raftnode.ShardStatus) { s.Failed = "entry 9: unexpected end" }),
		CodeTrouble:        edit(func(s *raftnode.ShardStatus) { s.Trouble = "copy state: input/output error" }),
		CodeListRotten:     edit(func(s *raftnode.ShardStatus) { s.Trouble = raftnode.ErrStateRotten.Error() + ": checksum" }),
		CodeJournalDamaged: edit(func(s *raftnode.ShardStatus) { s.Trouble = raftnode.ErrJournalDamaged.Error() + "; kept as x" }),
		CodeMended:         edit(func(s *raftnode.ShardStatus) { s.Mended = 2 }),
		CodeListMended:     edit(func(s *raftnode.ShardStatus) { s.Mended, s.Rebuilt = 1, 1 }),
		CodeLogMended:      edit(func(s *raftnode.ShardStatus) { s.Mended, s.Renumbered = 1, 1 }),
		CodeBytesMissing: edit(func(s *raftnode.ShardStatus) {
			for i := range s.Members {
				s.Members[i].Owes = true
			}
		}),
	}
	full, low, clock, gone, outside, unchecked := whole(3), whole(3), whole(3), whole(3), away(whole(3), 3), whole(3)
	unchecked.Boxes[1].Care.Scrub.Last.Ended = noon.Add(-50 * 24 * time.Hour).UnixMilli()
	f[CodeUnchecked] = unchecked
	drilled := whole(3)
	drilled.Circle.Drill = lastDrill([]directory.Entry{{What: whatDrill, Time: noon.Add(-3 * time.Hour).UnixMilli(), About: map[string]string{"house": "Mill Lane", "by": "Ben", "good": "no"}}})
	f[CodeDrill] = drilled
	silent := away(whole(3), 2)
	silent.Circle.AwaySince = awaySince([]directory.Entry{
		entry(whatAway, "", "house", "Mill Lane", "since", fmt.Sprint(noon.Add(-9*24*time.Hour).UnixMilli())),
		entry(whatBack, "", "house", "Mill Lane", "since", "1"),
		entry(whatBack, "", "house", "Hill Farm", "since", "1"),
	})
	f[CodeSilent] = silent
	near := whole(2)
	near.Near = []ident.BoxID{boxID(2)}
	f[CodeSameHouse] = near
	lost, back := away(whole(2), 2), whole(1)
	two := whole(1)
	two.Parted = &Parted{Since: noon.Add(-50 * time.Minute), Here: []string{"Oak Street"}, There: []string{"Mill Lane"}}
	chosen := whole(1)
	chosen.Parted = &Parted{Since: noon.Add(-50 * time.Minute), Here: []string{"Oak Street"}, There: []string{"Mill Lane"}, Picked: "Mill Lane"}
	lost.Outcast = &Outcast{Since: noon.Add(-30 * time.Hour), At: "box 2 at Mill Lane"}
	back.Returns = []Return{{Box: "box 2", House: "Mill Lane", Since: noon.Add(-time.Hour)}}
	f[CodeGivenUp], f[CodeReturned], f[CodeParted], f[CodePicked] = lost, back, two, chosen
	full.Disk = Disk{Total: 32e9, Free: 3e6}
	low.Disk = Disk{Total: 32e9, Free: 2e9}
	clock.Boxes[2].Time += (26 * time.Hour).Milliseconds()
	gone.Circle.Petitions = []Petition{{Box: "box 2", Replacement: "box 3", Needs: 1, Since: noon.Add(-50 * time.Hour)}}
	stolen := whole(3)
	stolen.Circle.Stolen = []Theft{{Box: "box 4", House: "Quay", Since: noon.Add(-50 * time.Hour)}}
	f[CodeStolen] = stolen
	outside.Outside = false
	for code, facts := range machineScenes() {
		f[code] = facts
	}
	for code, facts := range publicScenes() {
		f[code] = facts
	}
	f[CodeDiskFull], f[CodeDiskNearlyFull], f[CodeClock], f[CodePetition], f[CodeOutside] = full, low, clock, gone, outside
	return f
}

// TestFaultsInWords shows every row of the table as a person reads it. With
// REDHEN_UPDATE=1 the golden file is written anew.
func TestFaultsInWords(t *testing.T) {
	var got strings.Builder
	scenes := faultScenes()
	for _, row := range table() {
		f, ok := scenes[row.code]
		if !ok {
			t.Errorf("%s: no scene makes it happen", row.code)
			continue
		}
		faults := Build(f).Faults
		i := slices.IndexFunc(faults, func(x Fault) bool { return x.Code == row.code })
		if i < 0 {
			t.Errorf("%s: not found in its scene", row.code)
			continue
		}
		x := faults[i]
		fmt.Fprintf(&got, "%s (%s)\n  What:  %s\n  Lost:  %s\n  Heals: %s\n  Do:    %s\n  Help:  %s\n\n",
			x.Code, x.Weight, x.What, x.Lost, x.Heals, x.Do, x.Help)
	}
	golden(t, "faults.golden", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("REDHEN_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

// TestWordsForPeople: no text of a fault says what only we say, and none is left open.
func TestWordsForPeople(t *testing.T) {
	banned := []string{"node", "quorum", "raft", "shard", "replica", "term", "peer", "cluster", "device", "error", "{", "}", "%!"}
	for code, f := range faultScenes() {
		for _, x := range Build(f).Faults {
			for _, text := range []string{x.What, x.Lost, x.Heals, x.Do, x.Help} {
				if text == "" || !strings.ContainsAny(text[len(text)-1:], ".!?”") {
					t.Errorf("%s: %s: not a sentence: %q", code, x.Code, text)
				}
				for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ' ' || r == ',' || r == '.' || r == ':' }) {
					if slices.ContainsFunc(banned, func(b string) bool { return word == b || word == b+"s" || len(b) < 3 && strings.Contains(word, b) }) {
						t.Errorf("%s: %q has %q", x.Code, text, word)
					}
				}
			}
		}
	}
}

// TestAStolenBoxIsToldOfForAMonth: a circle without it is safe all the same; and a box that
// is only said to be stolen is not called gone.
func TestAStolenBoxIsToldOfForAMonth(t *testing.T) {
	f := whole(3)
	f.Circle.Stolen = []Theft{{Box: "Quay", House: "Quay", Since: noon.Add(-29 * 24 * time.Hour)}}
	r := Build(f)
	if r.Safe != Yes || len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0].What, "Quay was marked as stolen on 14 Oct.") {
		t.Errorf("safe %s, faults %+v", r.Safe, r.Faults)
	}
	f.Now = noon.Add(24 * time.Hour)
	if got := Build(f).Faults; len(got) != 0 {
		t.Errorf("after a month: %+v", got)
	}
	f = whole(3)
	f.Circle.Petitions = []Petition{{Box: "box 2", Stolen: true, Needs: 1, Since: noon}}
	if what := Build(f).Faults[0].What; !strings.Contains(what, "that box 2 was stolen. One more keeper") {
		t.Errorf("%q", what)
	}
}

func TestAQuietCircleHasNoFaults(t *testing.T) {
	if got := Build(whole(3)).Faults; len(got) != 0 {
		t.Errorf("faults: %+v", got)
	}
}

// TestFieldNames: scripts read these.
func TestFieldNames(t *testing.T) {
	b, err := json.MarshalIndent(Build(away(whole(3), 2)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.golden", string(b)+"\n")
}

func TestWhen(t *testing.T) {
	for _, tc := range []struct {
		t    time.Time
		want string
	}{
		{noon, "12:00"}, {noon.Add(-12 * time.Hour), "00:00"}, {noon.Add(-13 * time.Hour), "yesterday 23:00"},
		{noon.AddDate(0, 0, -2), "Tuesday 12:00"}, {noon.AddDate(0, 0, -20), "23 Oct"}, {noon.AddDate(-1, 0, 0), "12 Nov 2025"},
	} {
		if got := When(tc.t, noon); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.t, got, tc.want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1500: "1.5 kB", 999_960: "1.0 MB", 32e9: "32 GB", 4_200_000_000: "4.2 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestWatchReportsAndGivesMetrics(t *testing.T) {
	c := newCircle(t)
	w, err := New(Config{Box: boxID(1), Node: c, Now: func() time.Time { return noon }, Disk: func() (Disk, error) { return DiskOf(t.TempDir()) }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Report(t.Context())
	if err != nil || r.Circle != "Riverside" || r.Box != "box 1" || r.House != "Oak Street" || r.Safe != NotYet {
		t.Fatalf("report: %+v, %v", r, err)
	}
	answer := httptest.NewRecorder()
	Metrics(w).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"redhen_safe 0", `redhen_box_reached{box="box 1",house="Oak Street"} 1`, `redhen_fault{code="one-house",weight="care"} 1`, `redhen_fault{code="apart",weight="danger"} 0`} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("an empty config is taken")
	}
}
