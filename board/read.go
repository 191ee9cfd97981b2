package board

import (
	"path"
	"strconv"
	"strings"
	"time"
)

// model asks the device tree (Raspberry Pis) and then the firmware (PCs).
func (t tree) model() (Kind, string, string) {
	if model := t.text("proc/device-tree/model"); model != "" {
		compatible := strings.Split(t.text("proc/device-tree/compatible"), "\x00")
		return treeKind(compatible), model, meaningful(t.text("proc/device-tree/serial-number"))
	}
	const dmi = "sys/class/dmi/id/"
	vendor, product := meaningful(t.text(dmi+"sys_vendor")), meaningful(t.text(dmi+"product_name"))
	if product == "" {
		vendor, product = meaningful(t.text(dmi+"board_vendor")), meaningful(t.text(dmi+"board_name"))
	}
	serial := meaningful(t.text(dmi + "product_serial"))
	if serial == "" {
		serial = meaningful(t.text(dmi + "board_serial"))
	}
	model := strings.TrimSpace(vendor + " " + product)
	switch {
	case virtual(vendor, product) || t.hypervisor():
		return Virtual, model, serial
	case model != "":
		return PC, model, serial
	}
	return Unknown, "", serial
}

// treeKind reads the compatible list, the most exact name first.
func treeKind(compatible []string) Kind {
	pi := false
	for _, c := range compatible {
		name, ours := strings.CutPrefix(c, "raspberrypi,")
		pi = pi || ours
		switch {
		case ours && strings.HasPrefix(name, "model-zero-2"):
			return PiZero2W
		case ours && strings.HasPrefix(name, "3"), c == "brcm,bcm2837":
			return Pi3
		case ours && strings.HasPrefix(name, "4"), c == "brcm,bcm2711":
			return Pi4
		case ours && strings.HasPrefix(name, "5"), c == "brcm,bcm2712":
			return Pi5
		case c == "linux,dummy-virt":
			return Virtual
		}
	}
	if pi {
		return OtherPi
	}
	return Unknown
}

func virtual(vendor, product string) bool {
	for _, v := range []string{"QEMU", "VMware", "innotek", "Xen", "Amazon EC2", "Google", "Parallels", "Hetzner"} {
		if strings.HasPrefix(vendor, v) {
			return true
		}
	}
	return product == "Virtual Machine" || product == "VirtualBox"
}

// hypervisor reports whether an x86 processor says that it is not a real one.
func (t tree) hypervisor() bool {
	for line := range strings.Lines(t.text("proc/cpuinfo")) {
		if flags, ok := strings.CutPrefix(line, "flags"); ok {
			return strings.Contains(" "+strings.TrimSpace(flags)+" ", " hypervisor ")
		}
	}
	return false
}

// meaningful drops what makers write instead of a name or number.
func meaningful(s string) string {
	lower := strings.ToLower(s)
	for _, junk := range []string{"to be filled", "default string", "system serial", "system product", "system manufacturer", "not specified", "o.e.m.", "none", "n/a"} {
		if strings.Contains(lower, junk) {
			return ""
		}
	}
	if strings.Trim(s, "0. -") == "" || len(s) > 200 {
		return ""
	}
	return s
}

// cpus counts a list such as "0-3,6".
func (t tree) cpus() (n int) {
	for r := range strings.SplitSeq(t.text("sys/devices/system/cpu/present"), ",") {
		from, to, isRange := strings.Cut(r, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil && a <= b && b < 4096 {
			n += b - a + 1
		}
	}
	return n
}

func (t tree) memory(field string) int64 {
	for line := range strings.Lines(t.text("proc/meminfo")) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == field {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil && kb >= 0 && kb < 1<<40 {
				return kb << 10
			}
		}
	}
	return 0
}

// temperature prefers the zone that is the processor's; failing that, the hottest.
func (t tree) temperature() (best Temperature) {
	found := false
	for _, zone := range t.glob("sys/class/thermal/thermal_zone*") {
		n, ok := t.number(zone + "/temp")
		if !ok || !plausible(n) {
			continue // a zone that is switched off gives an error
		}
		kind := t.text(zone + "/type")
		cpu := strings.Contains(kind, "cpu") || kind == "x86_pkg_temp"
		if cpu && !found || cpu == found && (!best.Known || int(n) > best.Milli) {
			best = Temperature{Known: true, Milli: int(n), Critical: t.critical(zone)}
		}
		found = found || cpu
	}
	if best.Known {
		return best
	}
	for _, mon := range t.glob("sys/class/hwmon/hwmon*") {
		switch t.text(mon + "/name") {
		case "coretemp", "k10temp", "cpu_thermal":
			if n, ok := t.number(mon + "/temp1_input"); ok && plausible(n) {
				crit, _ := t.number(mon + "/temp1_crit")
				return Temperature{Known: true, Milli: int(n), Critical: int(crit)}
			}
		}
	}
	return Temperature{}
}

func plausible(milli int64) bool { return milli > -40_000 && milli < 150_000 && milli != 0 }

func (t tree) critical(zone string) int {
	for _, name := range t.glob(zone + "/trip_point_*_type") {
		if t.text(name) == "critical" {
			n, _ := t.number(strings.TrimSuffix(name, "type") + "temp")
			return int(n)
		}
	}
	return 0
}

// Bits of the firmware's word (raspberrypi.com, vcgencmd get_throttled).
const (
	lowNow, cappedNow, throttledNow, hotNow     = 1 << 0, 1 << 1, 1 << 2, 1 << 3
	lowSeen, cappedSeen, throttledSeen, hotSeen = 1 << 16, 1 << 17, 1 << 18, 1 << 19
)

// power reads the Pi's power monitor (hwmon "rpi_volt"), and the firmware's word
// where the kernel still shows it: newer ones on a Pi 5 do not, older ones write one
// warning into their log when it is read.
func (t tree) power() (p Power, th Throttle) {
	for _, mon := range t.glob("sys/class/hwmon/hwmon*") {
		if t.text(mon+"/name") == "rpi_volt" {
			n, ok := t.number(mon + "/in0_lcrit_alarm")
			p = Power{Known: ok, Low: n == 1, Seen: n == 1}
		}
	}
	for _, name := range t.glob("sys/devices/platform/soc*/soc*firmware/get_throttled") {
		bits, err := strconv.ParseUint(strings.TrimPrefix(t.text(name), "0x"), 16, 32)
		if err != nil {
			continue
		}
		p = Power{Known: true, Low: p.Low || bits&lowNow != 0, Seen: p.Seen || bits&(lowNow|lowSeen) != 0}
		now := bits&(cappedNow|throttledNow|hotNow) != 0
		return p, Throttle{
			Known: true, Now: now, Seen: now || bits&(cappedSeen|throttledSeen|hotSeen) != 0,
			Heat: bits&hotNow != 0 || now && bits&lowNow == 0,
		}
	}
	return p, t.cooling()
}

// cooling reads whether the kernel holds a processor back, and an Intel's counter.
func (t tree) cooling() (th Throttle) {
	for _, dev := range t.glob("sys/class/thermal/cooling_device*") {
		kind := t.text(dev + "/type")
		if kind != "Processor" && !strings.HasPrefix(kind, "cpufreq") && !strings.HasPrefix(kind, "thermal-cpufreq") {
			continue // a fan that runs is no trouble
		}
		n, ok := t.number(dev + "/cur_state")
		th.Known = th.Known || ok
		th.Now = th.Now || n > 0
	}
	if n, ok := t.number("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"); ok {
		th.Known, th.Seen = true, n > 0
	}
	th.Heat, th.Seen = th.Now, th.Seen || th.Now
	return th
}

func (t tree) clock() Clock {
	c := Clock{Source: t.text("sys/devices/system/clocksource/clocksource0/current_clocksource")}
	for _, dev := range t.glob("sys/class/rtc/rtc*") {
		name := t.text(dev + "/name")
		if name == "" || c.RTC != "" && t.text(dev+"/hctosys") != "1" {
			continue // of several, the one that sets the time at the start
		}
		c.RTC, c.Time, c.Battery = name, time.Time{}, Battery{}
		if n, ok := t.number(dev + "/since_epoch"); ok && n > 0 {
			c.Time = time.Unix(n, 0).UTC()
		}
		if n, ok := t.number(path.Join(dev, "battery_voltage")); ok {
			charge, _ := t.number(dev + "/charging_voltage")
			c.Battery = Battery{Known: true, Micro: n, Charge: charge}
		}
	}
	return c
}
