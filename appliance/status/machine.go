package status

// machineDangers, machineCares and machineNotes are the rows of the table about the
// machine that this box runs on.
func machineDangers() []row {
	return []row{{
		code: CodeDiskReadOnly, weight: Danger, find: findReadOnly,
		what:  "The {disk} of {box} takes nothing new any more.",
		lost:  "Nothing that another house has too. But this box keeps nothing new.",
		heals: "Nothing by itself. The other houses carry on.",
		do:    "Replace the {disk} of {box}, then let the box join again.",
		help:  "{keeper}.",
	}}
}

func machineCares() []row {
	return []row{{
		code: CodeClockUnset, weight: Care, find: findUnsetClock,
		what:  "The clock of {box} shows {date}, which cannot be.",
		lost:  nothingLost + " But {box} may not reach other houses until its clock is right.",
		heals: "The box sets its clock by the internet within minutes.",
		do:    "If it stays so, see that {box} has internet, and start it again.",
		help:  "{keeper}.",
	}, {
		code: CodeDiskWorn, weight: Care, find: findWorn,
		what:  "The {disk} of {box} is nearly worn out.",
		lost:  nothingLost,
		heals: "Nothing by itself.",
		do:    "Replace the {disk} of {box} soon, while it still works.",
		help:  "{keeper}.",
	}, {
		code: CodeHot, weight: Care, find: findHot,
		what:  "{box} is too hot{degrees}, and works slowly to cool down.",
		lost:  nothingLost,
		heals: "It works at full speed again when it is cool.",
		do:    "Put {box} where air can pass, away from sun and heating.",
		help:  "{keeper}.",
	}, {
		code: CodePowerLow, weight: Care, find: findPower(true),
		what:  "{box} gets too little power.",
		lost:  nothingLost + " But it may stop at any moment, or damage what it writes.",
		heals: "Nothing by itself.",
		do:    "Use a stronger power supply for {box}, with a short cable.",
		help:  "{keeper}.",
	}}
}

func machineNotes() []row {
	return []row{{
		code: CodeDiskErrors, weight: Note, find: findDiskErrors,
		what:  "The {disk} of {box} has had {faults}.",
		lost:  nothingLost + " Every piece of a file is checked when it is read.",
		heals: "What has gone bad is fetched again from another house.",
		do:    "If there are more of them after some days, replace the {disk} of {box}.",
		help:  "{keeper}.",
	}, {
		code: CodePowerWasLow, weight: Note, find: findPower(false),
		what:  "{box} had too little power for a moment since it was started.",
		lost:  nothingLost,
		heals: "It has enough now.",
		do:    "If this comes back, use a stronger power supply for {box}, with a short cable.",
		help:  "{keeper}.",
	}, {
		code: CodeBetterDisk, weight: Note, find: findBetterDisk,
		what:  "{box} keeps everything on its {disk}, though {other} ({size}) is plugged in, which would last longer.",
		lost:  nothingLost,
		heals: "Nothing by itself: what is on that disk is left alone.",
		do:    "Nothing needs to be done now; keep it in mind when the {disk} wears out.",
		help:  "{keeper}.",
	}, {
		code: CodeWifi, weight: Note, find: findWifi,
		what:  "{box} is on no Wi-Fi. {trouble}",
		lost:  nothingLost,
		heals: "The box goes on trying by itself.",
		do:    "Do as it says, or use a network cable.",
		help:  "{keeper}.",
	}, {
		code: CodeWifiWeak, weight: Note, find: findWeakWifi,
		what:  "{box} hardly hears its Wi-Fi “{network}”.",
		lost:  nothingLost + " But copies to and from {box} may be slow, or stop at times.",
		heals: "Nothing by itself.",
		do:    "Bring {box} and the Wi-Fi router nearer to each other, or use a network cable.",
		help:  "{keeper}.",
	}, {
		code: CodeCard, weight: Note, find: findCard,
		what:  "Something on the card of {box} cannot be used. {problem}",
		lost:  nothingLost,
		heals: "Nothing by itself. The box runs all the same.",
		do:    "Correct the file on the card, and start {box} again.",
		help:  "{keeper}.",
	}}
}
