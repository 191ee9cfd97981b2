package status

// machineDangers, machineCares and machineNotes are the rows of the table about the
// machine that this box runs on.
func machineDangers() []row {
	return []row{
		{code: CodeDiskReadOnly, weight: Danger, find: findReadOnly},
	}
}

func machineCares() []row {
	return []row{
		{code: CodeClockUnset, weight: Care, find: findUnsetClock},
		{code: CodeDiskWorn, weight: Care, find: findWorn},
		{code: CodeHot, weight: Care, find: findHot},
		{code: CodePowerLow, weight: Care, find: findPower(true)},
	}
}

func machineNotes() []row {
	return []row{
		{code: CodeDiskErrors, weight: Note, find: findDiskErrors},
		{code: CodePowerWasLow, weight: Note, find: findPower(false)},
		{code: CodeBetterDisk, weight: Note, find: findBetterDisk},
		{code: CodeWifi, weight: Note, find: findWifi},
		{code: CodeWifiWeak, weight: Note, find: findWeakWifi},
		{code: CodeCard, weight: Note, find: findCard},
	}
}
