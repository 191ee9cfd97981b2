package status

import (
	"errors"
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Sentence is something said elsewhere, in any language.
type Sentence interface {
	In(*words.Words) string
}

// Facts is all that a Report is made of: what was seen at one moment.
type Facts struct {
	Words   *words.Words // what the report is written in; nil: English
	Now     time.Time    // its location is that of all times in words
	Started time.Time    // of the program on this box
	Self    ident.BoxID
	Circle  Circle
	// Boxes is what boxes know of themselves; boxes that did not answer are missing.
	Boxes []raftnode.Status
	// Links is how this box reaches the others; boxes that are not in it count by their beats.
	Links []p2p.Link
	// Outside says that some box of the circle can be reached from the internet.
	Outside bool
	// StrangersOn: strangers may help boxes to find each other; StrangersUsed: they do now.
	StrangersOn, StrangersUsed bool
	// Relays are those that belong to no circle and through which this box is reached.
	Relays []addrbook.Rented
	// Outlook is what this box knows of its own way out and in, Walls what others said of
	// theirs; both may be missing.
	Outlook p2p.Outlook
	Walls   map[ident.BoxID]addrbook.Wall
	Disk    Disk
	// Hardware is the machine that this box runs on.
	Hardware Hardware
	// CardProblems are about the card with settings.
	CardProblems []Sentence
	Wifi         Wifi
	// Public is the name by which the circle is opened from everywhere, nil when it has none.
	Public *PublicName
	// Outcast says that this box was given up by the others, nil when it was not.
	Outcast *Outcast
	// Parted says that another side of the circle went on alone, as this one did; nil: none.
	Parted *Parted
	// Returns are boxes that were given up and ask here to come home.
	Returns []Return
	// Near are the boxes that this one reaches on its own network.
	Near []ident.BoxID
}

// Outcast is what a box knows that was given up.
type Outcast struct {
	Since time.Time
	At    string // box and house where somebody can let it in again
}

// Parted is two sides of a circle that each went on alone.
type Parted struct {
	Since       time.Time
	Here, There []string // houses
	Picked      string   // a house of the side that goes on; empty: nobody picked yet
}

// Return is a box that was given up and is back.
type Return struct {
	Box, House string
	Since      time.Time
}

// Circle is what the directory says, without what is secret.
type Circle struct {
	Key       ident.CircleID // by which others know it
	Name      string
	Houses    []HouseFacts // those with active boxes
	Boxes     []BoxFacts   // active ones
	Spaces    []SpaceFacts // the circle's own records first
	Petitions []Petition
	Stolen    []Theft // boxes that were marked as stolen
	Drill     *Drill  // the last one; nil: none
	// AwaySince is when a house went away that the diary knows to be away, by its name.
	AwaySince map[string]time.Time
}

// HouseFacts names a house.
type HouseFacts struct {
	ID   ident.HouseID
	Name string
}

// BoxFacts is one active box.
type BoxFacts struct {
	ID     ident.BoxID
	Name   string
	House  ident.HouseID
	Keeper string // full name, or login name
	Given  int64  // bytes for the circle; 0: no limit
	// Elsewhere are boxes that are near, and yet stand in another house by its keeper's word.
	Elsewhere []ident.BoxID
}

// SpaceFacts is one space.
type SpaceFacts struct {
	ID     ident.ShardID
	Name   string // empty for the circle's own records
	Title  string // empty: made of the owner, or of the name
	Owner  string // what friends call whose own files these are
	Copies int    // wanted
}

// Theft is a box that was marked as stolen.
type Theft struct {
	Box, House string
	Since      time.Time // by the clock of the box where a keeper said so
}

// Petition is a box that is said to be gone, while further keepers must agree.
type Petition struct {
	Box         string
	Stolen      bool   // it is said to be stolen
	Replacement string // name of the box that takes its place; may be empty
	Needs       int
	Since       time.Time
}

// Disk is the room where this box keeps everything. The zero value is not known.
type Disk struct{ Total, Free int64 }

// circleCopies is in how many houses the circle's own records must be.
const circleCopies = 3

// ReadCircle takes from the directory what a report needs.
func ReadCircle(v directory.View) (Circle, error) {
	r := v.Roster()
	if r == nil {
		return Circle{}, errors.New("status: this box is in no circle")
	}
	c := Circle{Key: r.Circle(), Name: r.Name(), Spaces: []SpaceFacts{{ID: ident.CircleShard, Copies: circleCopies}}}
	for _, h := range r.Houses() {
		c.Houses = append(c.Houses, HouseFacts{h.ID, h.Name})
	}
	for _, b := range r.Members() {
		c.Boxes = append(c.Boxes, BoxFacts{
			ID: b.ID, Name: b.Name, House: b.House, Keeper: personName(v, b.Keeper), Given: v.BoxSettings(b.ID).Given, Elsewhere: v.BoxSettings(b.ID).Elsewhere,
		})
	}
	for _, s := range v.Spaces() {
		f := SpaceFacts{ID: s.ID, Name: s.Name, Title: s.Title, Copies: s.WantedCopies()}
		if owner, _ := v.Account(s.Owner); owner.Space == s.ID {
			f.Owner = personName(v, s.Owner)
		}
		c.Spaces = append(c.Spaces, f)
	}
	for _, p := range v.Petitions() {
		if one, ok := readPetition(r, p); ok {
			c.Petitions = append(c.Petitions, one)
		}
	}
	for _, b := range r.Boxes() {
		if b.Status == roster.StatusStolen {
			h, _ := r.House(b.House)
			c.Stolen = append(c.Stolen, Theft{Box: b.Name, House: h.Name, Since: time.UnixMilli(b.Until)})
		}
	}
	rows := v.Diary(directory.MaxDiary)
	c.Drill, c.AwaySince = lastDrill(rows), awaySince(rows)
	return c, v.Err()
}

func readPetition(r *roster.State, p directory.Petition) (Petition, bool) {
	body, err := p.Change.GoneBody()
	if err != nil {
		return Petition{}, false
	}
	_, missing, err := r.Gather(p.Change)
	if err != nil {
		return Petition{}, false // it can no longer succeed
	}
	lost, _ := r.Box(body.Box)
	fresh, _ := r.Box(body.Replacement)
	return Petition{Box: lost.Name, Stolen: p.Change.Kind == roster.Stolen, Replacement: fresh.Name, Needs: missing, Since: time.UnixMilli(p.Since)}, true
}

func personName(v directory.View, id ident.AccountID) string {
	a, _ := v.Account(id)
	if a.FullName != "" {
		return a.FullName
	}
	return a.Name
}
