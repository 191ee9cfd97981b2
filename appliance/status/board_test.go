package status

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"redhen/appliance/words"
	"redhen/board"
	"redhen/board/boardtest"
	"redhen/board/disk"
)

// on is three houses, seen from a box on a board of boardtest.
func on(name, dir string, change func(fstest.MapFS)) Facts {
	tree := boardtest.Tree(name)
	change(tree)
	f := whole(3)
	f.Hardware = ReadHardware(tree, dir)
	return f
}

func asItIs(fstest.MapFS) {}

// aboutCard is a sentence about the card, the same in every language.
type aboutCard string

func (c aboutCard) In(*words.Words) string { return string(c) }

// machineScenes makes each fault of the machine happen.
func machineScenes() map[Code]Facts {
	hot, low, wasLow, unset, card, worn := whole(3), whole(3), whole(3), whole(3), whole(3), whole(3)
	hot.Hardware.Board = board.Report{Temperature: board.Temperature{Known: true, Milli: 86_200}}
	low.Hardware.Board.Power = board.Power{Known: true, Low: true, Seen: true}
	wasLow.Hardware.Board.Power = board.Power{Known: true, Seen: true}
	wifi, weak := whole(3), whole(3)
	wifi.Wifi.Trouble, wifi.Wifi.Tried = "absent", "Attic"
	unset.Now = time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC)
	weak.Wifi = Wifi{Network: "Attic", Signal: -8500}
	card.CardProblems = []Sentence{aboutCard("redhen-wifi.txt, line 2: a Wi-Fi password has 8 to 63 characters")}
	worn.Hardware = Hardware{Held: true, Volume: disk.Volume{Disk: disk.Disk{Kind: disk.EMMC, Life: disk.Life{Known: true, Used: 90}}}}
	return map[Code]Facts{
		CodeDiskReadOnly: on("zero2w", "/perm/redhen", asItIs), CodeDiskErrors: on("pi3", "/perm/redhen", asItIs),
		CodeDiskWorn: worn, CodeHot: hot, CodePowerLow: low, CodePowerWasLow: wasLow, CodeClockUnset: unset, CodeCard: card, CodeWifi: wifi, CodeWifiWeak: weak,
		CodeBetterDisk: on("pi4", "/perm/redhen", func(m fstest.MapFS) {
			boardtest.Set(m, "proc/self/mountinfo", "31 1 179:4 / /perm rw,relatime - ext4 /dev/mmcblk0p4 rw\n")
		}),
	}
}

// codes are the faults of the machine in a report.
func codes(f Facts) (list []string) {
	machine := machineScenes()
	for _, x := range Build(f).Faults {
		if _, ok := machine[x.Code]; ok {
			list = append(list, string(x.Code))
		}
	}
	return list
}

// Boards that are well have no faults; and those that are not, just theirs.
func TestBoardsHaveTheirFaultsAndNoOthers(t *testing.T) {
	for _, c := range []struct{ board, dir, want string }{
		{"pi4", "/perm/redhen", ""},
		{"pi5", "/perm/redhen", ""},
		{"vm", "/perm/redhen", ""},
		{"zero2w", "/perm/redhen", "disk-read-only"},
		{"pi3", "/perm/redhen", "disk-faults"},
		{"pc", "/tmp/redhen", ""}, // in memory
	} {
		got := strings.Join(codes(on(c.board, c.dir, asItIs)), " ")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", c.board, got, c.want)
		}
	}
	if got := codes(whole(3)); len(got) != 0 {
		t.Errorf("nothing is known of the machine, and yet: %q", got)
	}
}

func TestBoundsOfTheMachine(t *testing.T) {
	for want, edit := range map[string]func(*Hardware){
		"hot":            func(h *Hardware) { h.Board.Throttle = board.Throttle{Known: true, Now: true, Heat: true} },
		"":               func(h *Hardware) { h.Board.Temperature = board.Temperature{Known: true, Milli: 84_999} },
		"disk-worn":      func(h *Hardware) { h.Volume.Disk.Life.Spare = disk.SpareUrgent },
		"disk-read-only": func(h *Hardware) { h.Volume.ReadOnly = true },
		"disk-faults":    func(h *Hardware) { h.Volume.Health.Errors = 1 },
	} {
		f := whole(3)
		f.Hardware.Held = true
		edit(&f.Hardware)
		if got := strings.Join(codes(f), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f := whole(3) // slowed down for want of power is not heat
	f.Hardware.Board.Throttle = board.Throttle{Known: true, Now: true}
	if got := codes(f); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestTheMachineInTheReport(t *testing.T) {
	b, err := json.Marshal(Build(on("pc", "/var/lib/redhen", asItIs)).Machine)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"kind":"pc"`, `"name":"mmcblk0"`, `"kind":"emmc"`, `"worn":70`, `"written":107374182400`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("lacks %s: %s", want, b)
		}
	}
	b, err = json.Marshal(Build(whole(3)).Machine)
	if err != nil || string(b) != `{"kind":"unknown"}` {
		t.Errorf("nothing is known: %s, %v", b, err)
	}
}

// The machine is read seldom, and again after a while.
func TestTheMachineIsReadSeldom(t *testing.T) {
	c, now, reads := newCircle(t), noon, 0
	w, err := New(Config{Box: boxID(1), Node: c, Now: func() time.Time { return now }, Fresh: time.Nanosecond,
		Hardware: func() Hardware { reads++; return Hardware{Board: board.Report{Model: "a board"}} }})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 2} {
		if r, err := w.Report(t.Context()); err != nil || r.Machine.Model != "a board" || reads != want {
			t.Errorf("report %d: %q after %d reads, want %d; %v", i, r.Machine.Model, reads, want, err)
		}
		now = now.Add(8 * time.Second)
	}
}
