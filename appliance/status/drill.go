package status

import (
	"time"

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
func (d Drill) in(now time.Time) *Drill {
	d.Words = "Last fire drill: " + d.House + ", " + When(d.Time, now) + ", begun by " + d.By + ": "
	if d.Good {
		d.Words += "people carried on elsewhere, and it came back by itself."
	} else {
		d.Words += "not everything went well."
	}
	return &d
}

// drillWords is the row of the diary.
func drillWords(a map[string]string) (text, lost string) {
	if a["good"] == "yes" {
		return a["house"] + " played dead for a minute in a fire drill that " + a["by"] + " began, and people carried on elsewhere.", nothingLost
	}
	return a["house"] + " played dead for a minute in a fire drill that " + a["by"] + " began, and not everything went well.", nothingLost
}

func findDrill(s *scene) []finding {
	d := s.report.Drill
	if d == nil || d.Good {
		return nil
	}
	f := about("house", d.House, "when", When(d.Time, s.Now), "by", d.By)
	f.since = d.Time
	return []finding{f}
}
