"""The raw files of nine benchmarks below `mirage/rawdata` of the real data, and how many questions each holds."""

ROWS = {
    "mmlu/data/test/anatomy_test.csv": 135,
    "mmlu/data/test/clinical_knowledge_test.csv": 265,
    "mmlu/data/test/college_biology_test.csv": 144,
    "mmlu/data/test/college_medicine_test.csv": 173,
    "mmlu/data/test/medical_genetics_test.csv": 100,
    "mmlu/data/test/professional_medicine_test.csv": 272,
    "medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl": 1273,
    "medmcqa/data/dev.json": 4183,
    "pubmedqa/data/test_set.json": 500,
}
