package status

import (
	"time"

	"redhen/appliance/words"
	"redhen/raftnode/directory"
)

// Drill is the last fire drill of the circle.
type Drill struct {
	Time  time.Time `json:"time"`
	House string    `json:"house"` // that played dead
	By    string    `json:"by"`    // the keeper who began it
	Good  bool      `json:"good"`
	// Words says the same.
	Words string `json:"words"`
}

const whatDrill = "fire-drill" // house, by, good, boxes, kept, sig; written by package drill

// lastDrill finds the last drill among the rows of the diary, the newest first.
func lastDrill(rows []directory.Entry) *Drill {
	e := newest(rows, "", whatDrill)
	if e == nil {
		return nil
	}
	return &Drill{Time: milli(e.Time), House: e.About["house"], By: e.About["by"], Good: e.About["good"] == "yes"}
}

// in puts it into words.
func (d Drill) in(w *words.Words, now time.Time) *Drill {
	key := "drill.was.bad"
	if d.Good {
		key = "drill.was"
	}
	d.Words = w.Say(key, "house", d.House, "when", w.When(d.Time, now), "by", d.By)
	return &d
}

func findDrill(s *scene) []finding {
	d := s.report.Drill
	if d == nil || d.Good {
		return nil
	}
	f := about("house", d.House, "when", s.Words.When(d.Time, s.Now), "by", d.By)
	f.since = d.Time
	return []finding{f}
}
