// Package wifilab tries a box's Wi-Fi on simulated radios: the root of a real image runs
// in a virtual machine under Debian's kernel, which has them, unlike the kernel of the
// image; around it, in a network namespace of its own, the street opens networks and
// plays a phone.
package wifilab

// Radios of the lab's machine: the box has the first, the street the others. A network
// on radio n has the addresses 10.0.n.x.
const (
	Radios = 5
	Phone  = 4
)

// Ready is the line that the street says first: before it, the line is not the street's.
const Ready = "the street is there"

// Order is what the street is to do.
type Order struct {
	// Do is open, close: a network on Radio. scan: the names in reach. join, leave: the
	// phone. lookup: the address of the name URL. get, post: a page. kill: the
	// box's program of the name URL. read: the box's file URL. log: what the box's program URL said.
	Do    string
	Radio int               `json:",omitempty"`
	SSID  string            `json:",omitempty"`
	Lines string            `json:",omitempty"` // of hostapd's or wpa_supplicant's settings
	URL   string            `json:",omitempty"`
	Form  map[string]string `json:",omitempty"`
}

// Answer is what came of an Order.
type Answer struct {
	Err      string   `json:",omitempty"`
	Names    []string `json:",omitempty"`
	Code     int      `json:",omitempty"` // of a page
	Location string   `json:",omitempty"`
	Text     string   `json:",omitempty"`
}
