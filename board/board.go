// Package board tells what a box is made of and how it fares: model, temperature,
// power, clock, disks. It reads /sys and /proc through an fs.FS, so that every board
// can be had as a tree in a test. It judges nothing: numbers with units, and whether
// they are known.
package board

import (
	"io/fs"
	"strconv"
	"strings"
	"time"

	"redhen/board/disk"
)

// Kind is what a board is, as far as it matters to redhen.
type Kind uint8

// Kinds of boards.
const (
	Unknown  Kind = iota
	Pi3           // 3, 3+, and their compute modules
	Pi4           // 4, 400, compute module 4
	Pi5           // 5, 500, compute module 5
	PiZero2W      // Zero 2 W
	OtherPi
	PC
	Virtual // a virtual machine
)

// String returns the name of the constant in lower case.
func (k Kind) String() string {
	return [...]string{"unknown", "pi3", "pi4", "pi5", "pizero2w", "otherpi", "pc", "virtual"}[min(k, Virtual)]
}

// Pi reports whether the board is a Raspberry Pi.
func (k Kind) Pi() bool { return k >= Pi3 && k <= OtherPi }

// Report is a board at one moment.
type Report struct {
	Kind        Kind
	Model       string // "Raspberry Pi 4 Model B Rev 1.4", "Dell Inc. OptiPlex 3050"
	Serial      string // of the board; empty when it has none, or none that means anything
	CPUs        int
	Memory      int64         // bytes
	MemoryLeft  int64         // bytes that programs can still have
	Uptime      time.Duration // since the kernel started
	Temperature Temperature
	Power       Power
	Throttle    Throttle
	Clock       Clock
	Disks       []disk.Disk
}

// Temperature is that of the processor.
type Temperature struct {
	Known    bool
	Milli    int // thousandths of a degree Celsius
	Critical int // where the kernel switches off, thousandths; 0 when it does not say
}

// Power is the supply of a Raspberry Pi. Other boards do not tell.
type Power struct {
	Known bool
	Low   bool // under-voltage within the last seconds
	Seen  bool // since the start, as far as the firmware remembers
}

// Throttle is whether the processor is slowed down.
type Throttle struct {
	Known bool
	Now   bool // slowed down, for whatever reason
	Seen  bool // since the start
	Heat  bool // Now, and because of heat
}

// Clock is what the box knows of time while it is off.
type Clock struct {
	RTC     string    // name of the clock chip's driver; empty: none, time is lost with the power
	Time    time.Time // what the chip shows; zero when it cannot be read
	Battery Battery
	Source  string // the kernel's clock source, "arch_sys_counter"
}

// Battery is that of the clock chip of a Raspberry Pi 5. A PC does not tell.
type Battery struct {
	Known  bool
	Micro  int64 // volts, in millionths; 0: none is connected
	Charge int64 // charging voltage, in millionths; 0: it is not charged
}

// Keeps reports whether the chip will know the time after the power was off. It is
// sure for a Raspberry Pi 5 and an assumption for others.
func (c Clock) Keeps() bool {
	return c.RTC != "" && (!c.Battery.Known || c.Battery.Micro >= 2_000_000)
}

// Read reads the board from a file system rooted at /. What is missing there is not
// known; there is no error.
func Read(fsys fs.FS) Report {
	t := tree{fsys}
	r := Report{
		CPUs: t.cpus(), Memory: t.memory("MemTotal:"), MemoryLeft: t.memory("MemAvailable:"),
		Temperature: t.temperature(), Clock: t.clock(), Disks: disk.List(fsys),
	}
	r.Kind, r.Model, r.Serial = t.model()
	r.Power, r.Throttle = t.power()
	if up, _, ok := strings.Cut(t.text("proc/uptime"), " "); ok {
		if s, err := strconv.ParseFloat(up, 64); err == nil && s >= 0 && s < 1e9 {
			r.Uptime = time.Duration(s * float64(time.Second)).Truncate(10 * time.Millisecond)
		}
	}
	return r
}

// tree reads small files.
type tree struct{ fs.FS }

// text returns the content without blanks and zero bytes at its ends; empty when the
// file cannot be read or is not small.
func (t tree) text(name string) string {
	b, err := fs.ReadFile(t, name)
	if err != nil || len(b) > 64<<10 {
		return ""
	}
	return strings.Trim(string(b), " \t\n\x00")
}

// number returns a decimal number; ok is false when there is none.
func (t tree) number(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(t.text(name), 10, 64)
	return n, err == nil
}

func (t tree) glob(pattern string) []string {
	names, _ := fs.Glob(t, pattern) // the patterns are constants
	return names
}
