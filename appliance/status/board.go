package status

import (
	"fmt"
	"io/fs"
	"time"

	"redhen/appliance/words"
	"redhen/board"
	"redhen/board/disk"
)

// Bounds of the rules about the machine.
const (
	hotMilli  = 85_000     // thousandths of a degree: processors slow down about there
	wornUsed  = 90         // per cent of a disk's planned life
	clockZero = 1767225600 // 1 January 2026: no box is older, so no clock may show less
	dataRoom  = 16 << 30   // bytes: what a disk must have to be a better place
)

// Hardware is the machine that a box runs on. The zero value is not known.
type Hardware struct {
	Board  board.Report
	Volume disk.Volume // that holds the state directory
	Held   bool        // Volume is known
}

// ReadHardware reads the machine from a file system rooted at /; dir is the state
// directory, as an absolute path.
func ReadHardware(fsys fs.FS, dir string) Hardware {
	h := Hardware{Board: board.Read(fsys)}
	v, err := disk.Holding(fsys, dir)
	h.Volume, h.Held = v, err == nil // in memory or on the network there is no disk to tell of
	return h
}

// Wifi is the Wi-Fi that a box sends by, and how it stands there.
type Wifi struct {
	Network string // empty: none, or a cable is better
	Signal  int    // hundredths of dBm
	Trouble string // why the Wi-Fi is not joined, as package wifi names it; empty when all is well
	Tried   string // that Wi-Fi
}

// Machine is what a report says of the machine that this box runs on. What is not known
// is left out.
type Machine struct {
	Kind    string   `json:"kind"` // "pi4", "pc", "virtual", …
	Model   string   `json:"model,omitempty"`
	Celsius float64  `json:"celsius,omitempty"` // of the processor
	Power   string   `json:"power,omitempty"`   // "good", "low", "was low"
	Slowed  bool     `json:"slowed,omitempty"`  // the processor is held back now
	Clock   string   `json:"clock,omitempty"`   // driver of the clock chip; none: it forgets the time without power
	Disk    *Storage `json:"disk,omitempty"`    // that holds what the box keeps
}

// Storage is the disk that holds what a box keeps.
type Storage struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"` // "card", "usb", "nvme", …
	Model    string `json:"model,omitempty"`
	Size     int64  `json:"size"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	Worn     *int   `json:"worn,omitempty"`    // per cent of its planned life
	Failed   int64  `json:"failed,omitempty"`  // commands that failed since the start
	Errors   int64  `json:"errors,omitempty"`  // of the file system, since it was checked last
	Written  int64  `json:"written,omitempty"` // bytes, since the file system was made
}

func (h Hardware) machine() Machine {
	b := h.Board
	m := Machine{Kind: b.Kind.String(), Model: b.Model, Slowed: b.Throttle.Now, Clock: b.Clock.RTC}
	if b.Temperature.Known {
		m.Celsius = float64(b.Temperature.Milli/100) / 10
	}
	switch {
	case b.Power.Known && b.Power.Low:
		m.Power = "low"
	case b.Power.Known && b.Power.Seen:
		m.Power = "was low"
	case b.Power.Known:
		m.Power = "good"
	}
	if h.Held {
		d, v := h.Volume.Disk, h.Volume
		m.Disk = &Storage{
			Name: d.Name, Kind: d.Kind.String(), Model: d.Model, Size: d.Size, ReadOnly: d.ReadOnly || v.ReadOnly,
			Failed: d.Errors.Failed, Errors: v.Health.Errors, Written: v.Health.Written,
		}
		if d.Life.Known {
			m.Disk.Worn = &d.Life.Used
		}
	}
	return m
}

// diskWord is what people call a disk.
func diskWord(w *words.Words, k disk.Kind) string {
	switch k {
	case disk.Card:
		return w.Say("disk.card")
	case disk.Stick:
		return w.Say("disk.stick")
	case disk.EMMC:
		return w.Say("disk.built-in")
	}
	return w.Say("disk.disk")
}

// aboutDisk is a finding about the disk of this box.
func (s *scene) aboutDisk(pairs ...string) []finding {
	d := s.Hardware.Volume.Disk
	return []finding{s.aboutBox(s.Self, append([]string{"disk", diskWord(s.Words, d.Kind)}, pairs...)...)}
}

func findReadOnly(s *scene) []finding {
	if h := s.Hardware; !h.Held || !h.Volume.ReadOnly && !h.Volume.Disk.ReadOnly {
		return nil
	}
	return s.aboutDisk()
}

func findWorn(s *scene) []finding {
	l := s.Hardware.Volume.Disk.Life
	if !s.Hardware.Held || !l.Expired && l.Used < wornUsed && l.Spare != disk.SpareUrgent {
		return nil
	}
	return s.aboutDisk()
}

// findDiskErrors tells of faults that the file system has met. Failed commands do not
// count: most USB disks refuse some when they are plugged in.
func findDiskErrors(s *scene) []finding {
	v := s.Hardware.Volume
	if n := v.Health.Errors; s.Hardware.Held && n > 0 {
		list := s.aboutDisk("faults", s.Words.Count(int(n), "fault"))
		list[0].details = []string{fmt.Sprintf("%s: %d of the file system, %d failed commands", v.Device, v.Health.Errors, v.Disk.Errors.Failed)}
		return list
	}
	return nil
}

func findHot(s *scene) []finding {
	b := s.Hardware.Board
	if !(b.Throttle.Known && b.Throttle.Now && b.Throttle.Heat) && !(b.Temperature.Known && b.Temperature.Milli >= hotMilli) {
		return nil
	}
	degrees := ""
	if b.Temperature.Known {
		degrees = fmt.Sprintf(" (%d °C)", b.Temperature.Milli/1000)
	}
	return []finding{s.aboutBox(s.Self, "degrees", degrees)}
}

func findPower(now bool) func(*scene) []finding {
	return func(s *scene) []finding {
		p := s.Hardware.Board.Power
		if !p.Known || now != p.Low || !p.Low && !p.Seen {
			return nil
		}
		return []finding{s.aboutBox(s.Self)}
	}
}

// findUnsetClock tells of a clock that cannot be right, whoever is in reach. With it the
// box may not be able to reach anybody.
func findUnsetClock(s *scene) []finding {
	if s.Now.Unix() >= clockZero {
		return nil
	}
	return []finding{s.aboutBox(s.Self, "date", s.Words.LongDate(s.Now))}
}

// findBetterDisk tells of a disk that would last longer than the card.
func findBetterDisk(s *scene) []finding {
	h := s.Hardware
	if !h.Held || h.Volume.Disk.Kind != disk.Card && h.Volume.Disk.Kind != disk.Stick {
		return nil
	}
	best, ok := disk.Best(h.Board.Disks, dataRoom)
	if !ok || best.Kind != disk.USB && best.Kind != disk.SATA && best.Kind != disk.NVMe {
		return nil
	}
	return s.aboutDisk("other", orElse(best.Model, best.Name), "size", s.Words.Bytes(best.Size))
}

func findWifi(s *scene) []finding {
	if s.Wifi.Trouble == "" {
		return nil
	}
	return []finding{s.aboutBox(s.Self, "trouble", s.Words.Say("wifi.trouble."+s.Wifi.Trouble, "name", s.Wifi.Tried))}
}

// weakSignal is in hundredths of dBm: below it Wi-Fi loses much of what it sends.
const weakSignal = -8000

func findWeakWifi(s *scene) []finding {
	if w := s.Wifi; w.Network != "" && w.Signal < weakSignal {
		return []finding{s.aboutBox(s.Self, "network", w.Network)}
	}
	return nil
}

func findCard(s *scene) (list []finding) {
	for _, p := range s.CardProblems {
		list = append(list, s.aboutBox(s.Self, "problem", words.Ended(p.In(s.Words))))
	}
	return list
}

// hardwareFresh is how old what was read of the machine may be.
const hardwareFresh = 15 * time.Second

// hardware reads the machine, seldom: on some Raspberry Pis each reading is logged.
func (w *Watch) hardware(now time.Time) Hardware {
	w.hwMu.Lock()
	defer w.hwMu.Unlock()
	if w.cfg.Hardware != nil && (w.hwAt.IsZero() || now.Sub(w.hwAt).Abs() >= hardwareFresh) {
		w.hw, w.hwAt = w.cfg.Hardware(), now
	}
	return w.hw
}
