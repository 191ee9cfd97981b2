package status

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/raftnode"
	"redhen/raftnode/directory"
)

func TestDiaryInWords(t *testing.T) {
	at := noon.Add(-48 * time.Hour)
	since := strconv.FormatInt(at.Add(-3*time.Hour).UnixMilli(), 10)
	var got []string
	for _, e := range []directory.Entry{
		{What: "circle-founded", About: map[string]string{"name": "Riverside"}},
		{What: "box-admitted", About: map[string]string{"box": "Mabel", "house": "Mill Lane"}},
		{What: "box-retired", About: map[string]string{"box": "Mabel", "house": "Mill Lane"}},
		{What: "box-gone", About: map[string]string{"box": "Mabel", "house": "Mill Lane"}},
		{What: "box-gone", About: map[string]string{"box": "Mabel", "house": "Mill Lane", "replacement": "Nora"}},
		{What: "box-stolen", About: map[string]string{"box": "Mabel", "house": "Mill Lane"}},
		{What: "box-taken-over", About: map[string]string{"box": "Mabel", "house": "Mill Lane"}},
		{What: "space-goes-on", About: map[string]string{"space": "ada", "box": "Olive"}},
		{What: "box-renamed", About: map[string]string{"box": "Mabel", "was": "May"}},
		{What: "house-renamed", About: map[string]string{"house": "Mill Lane", "was": "Mill"}},
		{What: "account-added", About: map[string]string{"name": "ada"}},
		{What: "password-reset", About: map[string]string{"name": "ada", "by": "Ben Carter"}},
		{What: "passkey-added", About: map[string]string{"name": "ada"}},
		{What: "visitors-flood", About: map[string]string{"house": "Mill Lane", "box": "Mabel", "n": "200"}},
		{What: "relay-flood", About: map[string]string{"at": "192.0.2.7:7431", "n": "200"}},
		{What: "account-removed", About: map[string]string{"name": "ada"}},
		entry(whatAway, "", "house", "Mill Lane", "since", since),
		entry(whatBack, "", "house", "Mill Lane", "since", since),
		entry(whatWhole, "", "houses", "3"),
		entry(whatDrill, "", "house", "Mill Lane", "by", "Ada", "good", "yes"),
		entry(whatDrill, "", "house", "Mill Lane", "by", "Ada", "good", "no"),
		entry(whatChecked, "", "house", "Mill Lane", "box", "Mabel", "bytes", "52000000000", "bad", "0", "lists", "0", "left", "0"),
		entry(whatChecked, "", "house", "Mill Lane", "box", "Mabel", "bytes", "52000000000", "bad", "2", "lists", "1", "left", "0"),
		entry(whatChecked, "", "house", "Mill Lane", "box", "Mabel", "bytes", "52000000000", "bad", "1", "lists", "0", "left", "1"),
	} {
		e.Time = at.UnixMilli()
		line, ok := Tell(nil, e, noon)
		if !ok {
			t.Errorf("%s is not told", e.What)
		}
		got = append(got, strings.TrimSpace(line.Day+": "+line.What+" "+line.Lost))
	}
	golden(t, "diary.golden", strings.Join(got, "\n")+"\n")
	if _, ok := Tell(nil, directory.Entry{What: "of-tomorrow"}, noon); ok {
		t.Error("a row of a newer version is told")
	}
}

// TestEventsAreToldOnce: whoever looks, and however often.
func TestEventsAreToldOnce(t *testing.T) {
	var rows []directory.Entry // newest first
	tell := func(f Facts) (whats []string) {
		for range 2 { // a second look, or that of the next box that leads
			for _, e := range events(Build(f), rows, 2*time.Minute) {
				e.Time = f.Now.UnixMilli()
				rows = append([]directory.Entry{e}, rows...)
				whats = append(whats, e.What)
			}
		}
		return whats
	}
	rows = append(rows, directory.Entry{What: whatAdmitted, Time: noon.UnixMilli()})
	for _, step := range []struct {
		name  string
		facts Facts
		want  []string
	}{
		{"copies are being made", edit(behind), nil},
		{"complete", whole(3), []string{whatWhole}},
		{"away", away(whole(3), 2), []string{whatAway}},
		{"still away", away(whole(3), 2), nil},
		{"back, not complete", edit(behind), []string{whatBack}},
		{"complete again", whole(3), []string{whatWhole}},
	} {
		if d := cmp.Diff(step.want, tell(step.facts)); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
	brief := away(whole(3), 2)
	brief.Now = noon.Add(-2*time.Hour + time.Minute)
	if got := tell(brief); got != nil {
		t.Errorf("a minute's silence is told: %v", got)
	}
}

func behind(s *raftnode.ShardStatus) { s.Members[1].Behind = 4 }

func TestRecorderWritesIntoTheDirectory(t *testing.T) {
	c := newCircle(t)
	w, err := New(Config{Box: boxID(1), Node: c, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	c.do(t, directory.Command{Diary: &directory.Entry{What: whatAway, About: map[string]string{"house": "Oak Street", "since": "1"}}})
	for range 3 {
		if err := w.record(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := w.Diary(nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range lines {
		if strings.HasPrefix(l.What, "Oak Street is back") {
			n++
		}
	}
	if n != 1 || lines[len(lines)-1].Day != "Today" {
		t.Errorf("told %d times: %+v", n, lines)
	}
	c.statuses[0].Shards[0].Leads = false
	before := len(lines)
	c.do(t, directory.Command{Diary: &directory.Entry{What: whatAway, About: map[string]string{"house": "Oak Street", "since": "2"}}})
	if err := w.record(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines, _ = w.Diary(nil, 10); len(lines) != before+1 {
		t.Error("a box that does not lead writes")
	}
}
