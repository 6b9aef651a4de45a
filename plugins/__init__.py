"""
Everything that imports Airflow, save the DAG files.

Belongs here: builders (spec -> DAG), operators (command -> finished task), hooks (Airflow -> store). Does not belong
here: any work on data; that is a step's, and steps run in processes of their own. The DAG files import
``plugins.pipelines``.
"""
