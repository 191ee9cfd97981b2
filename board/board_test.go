package board_test

import (
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"redhen/board"
	"redhen/board/boardtest"
)

const (
	uptime  = 93784*time.Second + 370*time.Millisecond
	archCtr = "arch_sys_counter"
)

func reports() map[string]board.Report {
	return map[string]board.Report{
		"pi3": {
			Kind: board.Pi3, Model: "Raspberry Pi 3 Model B Plus Rev 1.3", Serial: "00000000a1b2c3d4",
			CPUs: 4, Memory: 948304 << 10, MemoryLeft: 611200 << 10, Uptime: uptime,
			Temperature: board.Temperature{Known: true, Milli: 61224, Critical: 110000},
			Power:       board.Power{Known: true, Low: true, Seen: true},
			Throttle:    board.Throttle{Known: true, Now: true, Seen: true},
			Clock:       board.Clock{Source: archCtr},
		},
		"pi4": {
			Kind: board.Pi4, Model: "Raspberry Pi 4 Model B Rev 1.4", Serial: "10000000e5f60718",
			CPUs: 4, Memory: 3884360 << 10, MemoryLeft: 3311008 << 10, Uptime: uptime,
			Temperature: board.Temperature{Known: true, Milli: 44790, Critical: 110000},
			Power:       board.Power{Known: true},
			Throttle:    board.Throttle{Known: true},
			Clock:       board.Clock{Source: archCtr},
		},
		"pi5": {
			Kind: board.Pi5, Model: "Raspberry Pi 5 Model B Rev 1.0", Serial: "4f6b8a0c2e1d3b59",
			CPUs: 4, Memory: 8245936 << 10, MemoryLeft: 7690112 << 10, Uptime: uptime,
			Temperature: board.Temperature{Known: true, Milli: 51250, Critical: 110000},
			Power:       board.Power{Known: true},
			Clock: board.Clock{
				RTC: "rpi-rtc soc@107c000000:rpi_rtc", Time: time.Unix(1762340000, 0).UTC(), Source: archCtr,
				Battery: board.Battery{Known: true, Micro: 3070082},
			},
		},
		"zero2w": {
			Kind: board.PiZero2W, Model: "Raspberry Pi Zero 2 W Rev 1.0", Serial: "0000000077665544",
			CPUs: 4, Memory: 423660 << 10, MemoryLeft: 228000 << 10, Uptime: uptime,
			Temperature: board.Temperature{Known: true, Milli: 48312, Critical: 110000},
			Power:       board.Power{Known: true},
			Clock:       board.Clock{Source: archCtr},
		},
		"pc": {
			Kind: board.PC, Model: "Intel(R) Client Systems NUC7CJYH", Serial: "GEJY83500ABC",
			CPUs: 2, Memory: 7938412 << 10, MemoryLeft: 5120000 << 10, Uptime: uptime,
			Temperature: board.Temperature{Known: true, Milli: 57000},
			Throttle:    board.Throttle{Known: true, Seen: true},
			Clock:       board.Clock{RTC: "rtc_cmos 00:02", Time: time.Unix(1762340100, 0).UTC(), Source: "tsc"},
		},
		"vm": {
			Kind: board.Virtual, Model: "QEMU Standard PC (i440FX + PIIX, 1996)",
			CPUs: 1, Memory: 499712 << 10, MemoryLeft: 401408 << 10, Uptime: uptime,
			Clock: board.Clock{RTC: "rtc_cmos 00:00", Time: time.Unix(1762340200, 0).UTC(), Source: "tsc"},
		},
	}
}

func TestRead(t *testing.T) {
	want := reports()
	for _, name := range boardtest.Names() {
		got := board.Read(boardtest.Tree(name))
		if diff := cmp.Diff(want[name], got, cmpopts.IgnoreFields(board.Report{}, "Disks")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(got.Disks) == 0 {
			t.Errorf("%s: no disks", name)
		}
		delete(want, name)
	}
	if len(want) != 0 {
		t.Errorf("no trees for %v", want)
	}
}

func TestKeeps(t *testing.T) {
	for name, want := range map[string]bool{"pi3": false, "pi4": false, "pi5": true, "pc": true} {
		if got := board.Read(boardtest.Tree(name)).Clock.Keeps(); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	m := boardtest.Tree("pi5")
	boardtest.Set(m, "sys/devices/platform/soc@107c000000/soc@107c000000:rpi_rtc/rtc/rtc0/battery_voltage", "0\n")
	if c := board.Read(m).Clock; c.Keeps() || !c.Battery.Known {
		t.Errorf("without a battery: %+v", c)
	}
}

func TestTheFirmwaresWord(t *testing.T) {
	const word = "sys/devices/platform/soc/soc:firmware/get_throttled"
	const alarm = "sys/devices/platform/soc/soc:firmware/raspberrypi-hwmon/hwmon/hwmon1/in0_lcrit_alarm"
	for _, c := range []struct {
		word, alarm string
		power       board.Power
		throttle    board.Throttle
	}{
		{"0", "0", board.Power{Known: true}, board.Throttle{Known: true}},
		{"0", "1", board.Power{Known: true, Low: true, Seen: true}, board.Throttle{Known: true}},
		{"50000", "0", board.Power{Known: true, Seen: true}, board.Throttle{Known: true, Seen: true}},
		{"0x80008", "0", board.Power{Known: true}, board.Throttle{Known: true, Now: true, Seen: true, Heat: true}},
		{"e0006", "0", board.Power{Known: true}, board.Throttle{Known: true, Now: true, Seen: true, Heat: true}},
		{"garbage", "?", board.Power{}, board.Throttle{}},
		{"", "0", board.Power{Known: true}, board.Throttle{}},
	} {
		m := boardtest.Tree("pi4")
		boardtest.Set(m, word, c.word+"\n")
		boardtest.Set(m, alarm, c.alarm+"\n")
		r := board.Read(m)
		if r.Power != c.power || r.Throttle != c.throttle {
			t.Errorf("%q, %q: got %+v %+v", c.word, c.alarm, r.Power, r.Throttle)
		}
	}
}

func TestKindOfPi(t *testing.T) {
	for compatible, want := range map[string]board.Kind{
		"raspberrypi,3-model-b\x00brcm,bcm2837\x00":            board.Pi3,
		"raspberrypi,3-compute-module\x00brcm,bcm2837\x00":     board.Pi3,
		"raspberrypi,400\x00brcm,bcm2711\x00":                  board.Pi4,
		"raspberrypi,4-compute-module\x00brcm,bcm2711\x00":     board.Pi4,
		"raspberrypi,500\x00brcm,bcm2712\x00":                  board.Pi5,
		"raspberrypi,model-zero-2-w\x00brcm,bcm2837\x00":       board.PiZero2W,
		"raspberrypi,model-zero-w\x00brcm,bcm2835\x00":         board.OtherPi,
		"raspberrypi,2-model-b\x00brcm,bcm2836\x00":            board.OtherPi,
		"pine64,rockpro64\x00rockchip,rk3399\x00":              board.Unknown,
		"linux,dummy-virt\x00":                                 board.Virtual,
		"raspberrypi,6-model-b\x00raspberrypi,something-6\x00": board.OtherPi,
	} {
		m := boardtest.Tree("pi4")
		boardtest.Set(m, "proc/device-tree/compatible", compatible)
		if got := board.Read(m).Kind; got != want {
			t.Errorf("%q: got %v, want %v", compatible, got, want)
		}
	}
	if !board.PiZero2W.Pi() || board.PC.Pi() || board.Unknown.Pi() || board.Kind(99).String() != "virtual" {
		t.Error("Pi or String")
	}
}

func TestAProcessorThatIsNone(t *testing.T) {
	m := boardtest.Tree("pc")
	boardtest.Set(m, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n")
	if got := board.Read(m).Kind; got != board.Virtual {
		t.Errorf("got %v", got)
	}
}

func TestTemperatureFallsBackToTheMonitor(t *testing.T) {
	m := boardtest.Tree("vm")
	boardtest.Set(m, "sys/class/hwmon/hwmon4/name", "k10temp\n")
	boardtest.Set(m, "sys/class/hwmon/hwmon4/temp1_input", "41500\n")
	boardtest.Set(m, "sys/class/hwmon/hwmon4/temp1_crit", "95000\n")
	boardtest.Set(m, "sys/class/thermal/thermal_zone0/temp", "-274000\n") // a sensor that is not there
	if got, want := board.Read(m).Temperature, (board.Temperature{Known: true, Milli: 41500, Critical: 95000}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestHeldBackByTheKernel(t *testing.T) {
	m := boardtest.Tree("pi5")
	boardtest.Set(m, "sys/class/thermal/cooling_device1/type", "cpufreq-cpu0\n")
	boardtest.Set(m, "sys/class/thermal/cooling_device1/cur_state", "3\n")
	if got, want := board.Read(m).Throttle, (board.Throttle{Known: true, Now: true, Seen: true, Heat: true}); got != want {
		t.Errorf("got %+v", got)
	}
}

// A tree of nothing, and a tree of nonsense, give a report of nothing.
func TestNothingIsNotAnError(t *testing.T) {
	if diff := cmp.Diff(board.Report{}, board.Read(fstest.MapFS{})); diff != "" {
		t.Error(diff)
	}
	for _, name := range boardtest.Names() {
		m := boardtest.Tree(name)
		for path, f := range m {
			if f.Mode.IsRegular() {
				boardtest.Set(m, path, "\xff\x00 -9999999999999999999999 0x\n: ,,-\n")
			}
		}
		r := board.Read(m)
		if r.Temperature.Known || r.Power.Known || r.Throttle.Known || r.CPUs != 0 || r.Memory != 0 || r.Uptime != 0 || len(r.Disks) != 0 {
			t.Errorf("%s: believed %+v", name, r)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if r := board.Read(os.DirFS("/")); r.Memory == 0 || r.Uptime == 0 {
		t.Errorf("got %+v", r)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("sys/class/thermal/thermal_zone0/temp", "pi4", "61000\n")
	f.Add("proc/self/mountinfo", "pi4", "30 1 179:4 / /perm rw - ext4 x rw\n")
	f.Fuzz(func(t *testing.T, path, name, content string) {
		for _, n := range boardtest.Names() {
			if n == name {
				m := boardtest.Tree(n)
				if _, ok := m[path]; ok {
					boardtest.Set(m, path, content)
				}
				board.Read(m)
			}
		}
	})
}
