// Package api is the local HTTP interface of a box, JSON on a unix socket in its
// state directory, and its Go client. Who may open the socket is the machine's
// administrator: nothing here asks for a login, and only what is signed with a
// keeper's key needs the keeper's password.
package api

import (
	"net/netip"
	"time"

	"redhen/appliance/firstboot"
	"redhen/appliance/words"
	"redhen/provision/ident"
)

// Box is what a box says of itself.
type Box struct {
	ID      ident.BoxID `json:"id"`
	Claimed bool        `json:"claimed"` // it is in a circle
	Circle  string      `json:"circle,omitempty"`
	Name    string      `json:"name,omitempty"`
	House   string      `json:"house,omitempty"`
	Pages   string      `json:"pages,omitempty"` // host:port of the pages; empty when there are none
	Port    int         `json:"port"`            // for other boxes
	// Addresses are where other boxes may call it, as far as it knows.
	Addresses []netip.AddrPort `json:"addresses,omitempty"`
	// ClaimCode is what a person types to claim a fresh box from afar, to receive a gift,
	// and to set a new password after the card asked for that.
	ClaimCode string `json:"claimCode,omitempty"`
	// Paper says that the code of a gift card serves, too.
	Paper bool `json:"paper,omitempty"`
	// Gift says that the box is kept by its giver until somebody receives it.
	Gift  bool  `json:"gift,omitempty"`
	Start Start `json:"start,omitzero"`
	// Level is what this redhen reads at most, Agreed what the circle has agreed to keep.
	Level  uint64 `json:"level,omitempty"`
	Agreed uint64 `json:"agreed,omitempty"`
}

// Start is what the card asked of the box, and how far that is.
type Start struct {
	Doing    firstboot.Doing `json:"doing,omitempty"`
	Sentence string          `json:"sentence,omitempty"`
	Circle   string          `json:"circle,omitempty"`
	Words    []Word          `json:"words,omitempty"`
	Problems []string        `json:"problems,omitempty"` // with the card
}

// IsZero reports whether there is nothing to say.
func (s Start) IsZero() bool { return s.Doing == firstboot.Nothing && len(s.Problems) == 0 }

// StartOf tells a state of a box's start.
func StartOf(s firstboot.State) Start {
	return Start{s.Doing, s.Sentence, s.Circle, wordsOf(s.Words), s.Told(words.English())}
}

// Keeper is the person who keeps the box that is being set up.
type Keeper struct {
	Login    string `json:"login"`
	FullName string `json:"fullName,omitempty"`
	Password string `json:"password"`
}

// Found is a circle to begin.
type Found struct {
	Circle string `json:"circle"`
	House  string `json:"house"`
	Box    string `json:"box"`
	Keeper Keeper `json:"keeper"`
}

// Join is a circle to enter.
type Join struct {
	Ticket string `json:"ticket"`
	House  string `json:"house"`
	// SameHouse says that House is a house of the circle, where the box stands too.
	SameHouse bool   `json:"sameHouse,omitempty"`
	Box       string `json:"box"`
	// Keeper is new in the circle, or an account of it with its password.
	Keeper Keeper `json:"keeper"`
}

// Step is one line of what Join tells while it waits.
type Step struct {
	Stage   string `json:"stage,omitempty"`   // "connecting", "waiting", "admitted"
	Trouble string `json:"trouble,omitempty"` // why the last try to connect failed
	Circle  string `json:"circle,omitempty"`
	Inviter string `json:"inviter,omitempty"` // name of the inviting box
	Words   []Word `json:"words,omitempty"`
	// What the circle is like, once the inviting box has answered.
	Houses  []string `json:"houses,omitempty"`
	Keepers []string `json:"keepers,omitempty"` // login names of those who keep a box
	Known   bool     `json:"known,omitempty"`   // the keeper's account is one of the circle
	Error   *Error   `json:"error,omitempty"`   // it did not work; the last line
	Done    bool     `json:"done,omitempty"`    // it worked; the last line
}

// The stages of a Step.
const (
	StageConnecting = "connecting"
	StageWaiting    = "waiting"
	StageAdmitted   = "admitted"
)

// Switch is a setting that is on or off.
type Switch struct {
	On bool `json:"on"`
}

// Word is one of the four that both sides of a pairing show.
type Word struct {
	Picture string `json:"picture"`
	Text    string `json:"text"`
}

// BoxInvite asks for a ticket.
type BoxInvite struct {
	Waived  bool  `json:"waived,omitempty"`  // let the box in without asking anybody
	Seconds int64 `json:"seconds,omitempty"` // life; zero is ten minutes
}

// Ticket is an invite for one box. It holds the secret: it is shown, never logged.
type Ticket struct {
	ID      string    `json:"id"`
	Text    string    `json:"ticket"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// PersonInvite asks for an invitation of a person without a box.
type PersonInvite struct {
	Login    string `json:"login,omitempty"` // a proposal
	FullName string `json:"fullName,omitempty"`
}

// Invitation lets one person make an account.
type Invitation struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// Invites are the open tickets and who came with them.
type Invites struct {
	Waiting []Waiting `json:"waiting"`
	Tickets []Issued  `json:"tickets"`
}

// Waiting is a box that waits for somebody to let it in.
type Waiting struct {
	Box    string      `json:"box"`
	ID     ident.BoxID `json:"id"`
	House  string      `json:"house"`
	Keeper string      `json:"keeper"`
	Ticket string      `json:"ticket"`
	Gift   bool        `json:"gift,omitempty"` // kept by the giver until Keeper takes it
	Words  []Word      `json:"words"`
	Since  time.Time   `json:"since"`
	// Known says that the keeper is in the circle already and gave the right password,
	// SameHouse that the house has a box of the circle already.
	Known     bool `json:"known,omitempty"`
	SameHouse bool `json:"sameHouse,omitempty"`
	// Back says that the box was in the circle, was given up, and asks to come home.
	Back bool `json:"back,omitempty"`
}

// Issued is a ticket that this box made.
type Issued struct {
	ID      string    `json:"id"`
	State   string    `json:"state"` // "open", "used", "revoked", "burnt", "expired"
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Waived  bool      `json:"waived,omitempty"`
	Wrong   int       `json:"wrong,omitempty"` // wrong tries
	Gift    string    `json:"gift,omitempty"`  // house of the box that it was put onto a card for
}

// Account is a person of the circle.
type Account struct {
	Login    string          `json:"login"`
	ID       ident.AccountID `json:"id"`
	FullName string          `json:"fullName,omitempty"`
	Space    string          `json:"space,omitempty"`
	Boxes    []string        `json:"boxes,omitempty"` // that the person keeps
	Devices  int             `json:"devices"`
	Created  time.Time       `json:"created"`
}

// NewAccount is a person to be added.
type NewAccount struct {
	Login    string `json:"login"`
	FullName string `json:"fullName,omitempty"`
	Password string `json:"password"`
}

// NewPassword sets a password. Old is needed by a keeper who wants to keep the
// right to sign: without it the password is set by presence at this box.
type NewPassword struct {
	Old      string `json:"old,omitempty"`
	Password string `json:"password"`
}

// Device is a password of its own for one program or machine.
type Device struct {
	ID       string    `json:"id"`
	Label    string    `json:"label"`
	Created  time.Time `json:"created"`
	Password string    `json:"password,omitempty"` // only once, when it is made
}

// Gone says that a box is lost for good, or stolen, in the name of a keeper.
type Gone struct {
	Box         string `json:"box"`
	Replacement string `json:"replacement,omitempty"`
	Stolen      bool   `json:"stolen,omitempty"` // it is in wrong hands, and is never let in again
	Keeper      string `json:"keeper"`
	Password    string `json:"password"`
	Confirm     string `json:"confirm"` // the name of the box's house, as typed
}

// Takeover says that houses are lost for good, so many that the circle can decide
// nothing, in the name of the keeper of this box.
type Takeover struct {
	Houses   []string `json:"houses"`
	Keeper   string   `json:"keeper"`
	Password string   `json:"password"`
}

// Keep picks the side that goes on, where two went on alone, by one of its houses.
type Keep struct {
	House    string `json:"house"`
	Keeper   string `json:"keeper"`
	Password string `json:"password"`
}

// Agreed is what became of Gone.
type Agreed struct {
	More int `json:"more"` // keepers who must say the same before it counts
}

// Space is a space of the circle.
type Space struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`
	Owner  string `json:"owner"` // login name
	Copies int    `json:"copies"`
}

// Entry is a file or directory of a space.
type Entry struct {
	Path    string    `json:"path"`
	Name    string    `json:"name"`
	Dir     bool      `json:"dir,omitempty"`
	Size    int64     `json:"size,omitempty"`
	ModTime time.Time `json:"modTime"`
	Version string    `json:"version,omitempty"`
}
